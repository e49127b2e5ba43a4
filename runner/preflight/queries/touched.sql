-- What this transaction has written to the catalog from a command on: the relations, functions and
-- types whose facts may differ, and the number of the next command; then how many rows of each catalog
-- it has written and deleted so far, which also tells of catalogs that are not listed here.
with written (class, oid, part, command) as (
    select 'pg_class'::regclass, oid, 0, cmin from pg_class where age(xmin) <= 0
    union all
    select 'pg_class'::regclass, indrelid, 0, cmin from pg_index where age(xmin) <= 0
    union all
    select 'pg_class'::regclass, attrelid, 0, cmin from pg_attribute where age(xmin) <= 0
    union all
    select 'pg_class'::regclass, adrelid, 0, cmin from pg_attrdef where age(xmin) <= 0
    union all
    select 'pg_class'::regclass, seqrelid, 0, cmin from pg_sequence where age(xmin) <= 0
    union all
    select 'pg_constraint'::regclass, oid, 0, cmin from pg_constraint where age(xmin) <= 0
    union all
    select 'pg_trigger'::regclass, oid, 0, cmin from pg_trigger where age(xmin) <= 0
    union all
    select 'pg_policy'::regclass, oid, 0, cmin from pg_policy where age(xmin) <= 0
    union all
    select 'pg_proc'::regclass, oid, 0, cmin from pg_proc where age(xmin) <= 0
    union all
    select 'pg_type'::regclass, oid, 0, cmin from pg_type where age(xmin) <= 0
    union all
    select 'pg_type'::regclass, enumtypid, 0, cmin from pg_enum where age(xmin) <= 0
    union all
    select classoid, objoid, objsubid, cmin from pg_description where age(xmin) <= 0
),
recent as (
    select w.class, w.oid from written as w where w.command::text::bigint >= $1
),
-- The table or domain to which an index, constraint, trigger or policy belongs.
whole (oid) as (
    select r.oid from recent as r
    union
    select i.indrelid from recent as r inner join pg_index as i on i.indexrelid = r.oid
    union
    select c.oid from recent as r inner join pg_class as c on c.reltoastrelid = r.oid and r.oid <> 0
    union
    select greatest(k.conrelid, k.contypid)
    from recent as r
    inner join pg_constraint as k on k.oid = r.oid and r.class = 'pg_constraint'::regclass
    union
    select t.tgrelid
    from recent as r
    inner join pg_trigger as t on t.oid = r.oid and r.class = 'pg_trigger'::regclass
    union
    -- A foreign key has triggers on both tables.
    select k.conrelid
    from recent as r
    inner join pg_trigger as t on t.oid = r.oid and r.class = 'pg_trigger'::regclass
    inner join pg_constraint as k on k.oid = t.tgconstraint
    union
    select p.polrelid
    from recent as r
    inner join pg_policy as p on p.oid = r.oid and r.class = 'pg_policy'::regclass
)
select
    array(
        select w.oid from whole as w
        union
        select c.reltype from whole as w inner join pg_class as c on c.oid = w.oid
        union
        -- A table and its sequences are read together.
        select unnest(array[d.objid, d.refobjid])
        from pg_depend as d
        where d.classid = 'pg_class'::regclass
            and d.refclassid = 'pg_class'::regclass
            and d.deptype in ('a', 'i')
            and (d.objid in (select w.oid from whole as w) or d.refobjid in (select w.oid from whole as w))
    ),
    (select coalesce(max(w.command::text::bigint) + 1, 0) from written as w),
    case when current_setting('track_counts')::boolean then (
        select coalesce(jsonb_object_agg(c.relname, array[c.written, c.deleted]), '{}')
        from (
            select
                c.relname,
                pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
                    as written,
                pg_stat_get_xact_tuples_deleted(c.oid) as deleted
            from pg_class as c
            where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r'
        ) as c
        where c.written + c.deleted > 0
    ) end
