-- The relations, functions and types to which some objects belong, and the names and owners that
-- definitions of other objects show; the last column is the name of the facts of an object.
with given (oid) as (
    {given}
),
owned (sequence, relation) as not materialized (
    select d.objid, d.refobjid
    from pg_depend as d
    where d.classid = 'pg_class'::regclass
        and d.refclassid = 'pg_class'::regclass
        and d.deptype in ('a', 'i')
),
touched (oid) as (
    select g.oid from given as g
    union
    select i.indrelid from given as g inner join pg_index as i on i.indexrelid = g.oid
    union
    select c.oid from given as g inner join pg_class as c on c.reltoastrelid = g.oid
    union
    -- Of the comments on these.
    select greatest(k.conrelid, k.contypid) from given as g inner join pg_constraint as k on k.oid = g.oid
    union
    select t.tgrelid from given as g inner join pg_trigger as t on t.oid = g.oid
    union
    select p.polrelid from given as g inner join pg_policy as p on p.oid = g.oid
    union
    select o.relation from given as g inner join owned as o on o.sequence = g.oid
),
-- What shows columns or types of these: views and rules, policies, functions, and what uses such a
-- function. A foreign key shows names only, and where one changes, everything is read.
base (class, oid) as (
    select d.classid, d.oid
    from touched as t
    cross join lateral (
        select 'pg_class'::regclass, t.oid
        union all
        select 'pg_type'::regclass, t.oid
        union all
        select 'pg_proc'::regclass, t.oid
        union all
        select 'pg_type'::regclass, c.reltype from pg_class as c where c.oid = t.oid
    ) as d (classid, oid)
),
dependent (class, oid) as (
    select d.classid, d.objid
    from base as b
    inner join pg_depend as d on d.refclassid = b.class and d.refobjid = b.oid
    where d.objid >= 16384
),
using_it (class, oid) as (
    select d.class, d.oid from dependent as d
    union
    select u.classid, u.objid
    from dependent as d
    inner join pg_depend as u on u.refclassid = d.class and u.refobjid = d.oid
    where d.class = 'pg_proc'::regclass
),
shown_in (oid) as (
    select t.oid from touched as t
    union
    select w.ev_class from using_it as u inner join pg_rewrite as w on w.oid = u.oid
    where u.class = 'pg_rewrite'::regclass
    union
    select p.polrelid from using_it as u inner join pg_policy as p on p.oid = u.oid
    where u.class = 'pg_policy'::regclass
    union
    select u.oid from using_it as u where u.class = 'pg_proc'::regclass
),
whole (oid) as (
    select t.oid from shown_in as t
    union
    -- A table and its sequences are read together.
    select o.sequence from shown_in as t inner join owned as o on o.relation = t.oid
    union
    select c.reltype from shown_in as t inner join pg_class as c on c.oid = t.oid and c.relkind = 'c'
)
select
    'relation ' || c.oid as object,
    c.oid,
    concat_ws('.', c.relnamespace, c.relowner, c.relname) as name,
    quote_ident(s.nspname) || '.' || quote_ident(c.relname) as shown
from whole as w
inner join pg_class as c on c.oid = w.oid
inner join pg_namespace as s on s.oid = c.relnamespace
where c.relkind in ('c', 'f', 'm', 'p', 'r', 'S', 'v')
union all
select concat_ws(' ', 'column', a.attrelid, a.attnum), a.attrelid, a.attname, null
from whole as w
inner join pg_class as c on c.oid = w.oid and c.relkind in ('c', 'f', 'm', 'p', 'r', 'v')
inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
union all
select
    'function ' || p.oid, p.oid, concat_ws('.', p.pronamespace, p.proowner, p.proname),
    case p.pronamespace when 'pg_catalog'::regnamespace then 'pg_catalog.' else '' end
    || p.oid::regprocedure::text
from whole as w
inner join pg_proc as p on p.oid = w.oid
union all
select
    'type ' || t.oid, t.oid, concat_ws('.', t.typnamespace, t.typowner, t.typname),
    quote_ident(s.nspname) || '.' || quote_ident(t.typname)
from whole as w
inner join pg_type as t on t.oid = w.oid and t.typtype in ('b', 'c', 'd', 'e', 'm', 'p', 'r')
inner join pg_namespace as s on s.oid = t.typnamespace
union all
select 'label ' || e.oid, e.enumtypid, e.enumlabel, null
from whole as w
inner join pg_enum as e on e.enumtypid = w.oid
