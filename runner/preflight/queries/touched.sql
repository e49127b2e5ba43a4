-- The relations, functions and types to which the objects $1 belong, and those that show them. Each step
-- is an index scan for each object: OFFSET 0 prevents a plan that joins whole catalogs, which have no
-- statistics in a new database.
touched (oid) as (
    select its.oid
    from unnest($1) as g (oid)
    cross join lateral (
        select g.oid
        union all
        select i.indrelid from pg_index as i where i.indexrelid = g.oid
        union all
        -- The table of a sequence or of a TOAST table.
        select d.refobjid
        from pg_depend as d
        where d.classid = 'pg_class'::regclass
            and d.objid = g.oid
            and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
        union all
        -- Of the comments on these.
        select greatest(k.conrelid, k.contypid) from pg_constraint as k where k.oid = g.oid
        union all
        select t.tgrelid from pg_trigger as t where t.oid = g.oid
        union all
        select p.polrelid from pg_policy as p where p.oid = g.oid
        offset 0
    ) as its (oid)
    group by its.oid
),
-- What shows columns or types of these: views and rules, policies, functions, and what uses such a
-- function. A foreign key shows names only, and where one changes, everything is read.
dependent (class, oid) as (
    select its.classid, its.objid
    from touched as t
    cross join lateral (
        select 'pg_class'::regclass, t.oid
        union all
        select 'pg_type'::regclass, t.oid
        union all
        select 'pg_proc'::regclass, t.oid
        union all
        select 'pg_type'::regclass, c.reltype from pg_class as c where c.oid = t.oid
        offset 0
    ) as base (class, oid)
    cross join lateral (
        select d.classid, d.objid
        from pg_depend as d
        where d.refclassid = base.class and d.refobjid = base.oid
        offset 0
    ) as its
),
using_it (class, oid) as (
    select d.class, d.oid from dependent as d
    union
    select its.classid, its.objid
    from dependent as d
    cross join lateral (
        select u.classid, u.objid
        from pg_depend as u
        where d.class = 'pg_proc'::regclass and u.refclassid = d.class and u.refobjid = d.oid
        offset 0
    ) as its
),
shown_in (oid) as (
    select t.oid from touched as t
    union
    select its.oid
    from using_it as u
    cross join lateral (
        select w.ev_class from pg_rewrite as w where u.class = 'pg_rewrite'::regclass and w.oid = u.oid
        union all
        select p.polrelid from pg_policy as p where u.class = 'pg_policy'::regclass and p.oid = u.oid
        union all
        select u.oid where u.class = 'pg_proc'::regclass
        offset 0
    ) as its (oid)
),
whole (oid) as (
    select t.oid from shown_in as t
    union
    select its.oid
    from shown_in as t
    cross join lateral (
        -- A table and its sequences are read together.
        select d.objid
        from pg_depend as d
        where d.refclassid = 'pg_class'::regclass
            and d.refobjid = t.oid
            and d.classid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
        union all
        select c.reltype from pg_class as c where c.oid = t.oid and c.relkind = 'c'
        offset 0
    ) as its (oid)
)
