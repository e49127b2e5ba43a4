-- The tables that rows can be inserted into, and the constraints on their rows: one row per table.
-- Columns that the database fills are left out: generated ones, and unless `numbered`, identity and
-- serial ones. Left out: the tables %(except)s.

with recursive chosen as (
    select c.oid, n.nspname, c.relname, c.relkind
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
        and not c.relispartition
        and n.nspname || '.' || c.relname <> all (%(except)s::text[])
        and n.nspname !~ '^pg_'
        and n.nspname not in ('information_schema', 'yoyo')
        and not exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

fields as (
    select
        a.attrelid,
        a.attnum,
        a.attname,
        a.atttypid,
        a.atttypmod,
        a.attnotnull,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid) as defaults_to
    from chosen as c
    inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid
    left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0
        and not a.attisdropped
        and a.attgenerated = ''
        and (
            %(numbered)s
            or (
                a.attidentity = ''
                and coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) !~ '^nextval\(', true)
            )
        )
),

-- From a domain to its base type, from an array to its element type.
chain as (
    select
        t.oid as start,
        t.oid,
        0 as depth,
        false as is_array,
        t.typnotnull as not_null
    from pg_catalog.pg_type as t
    where t.oid in (select f.atttypid from fields as f)
    union all
    select
        chain.start,
        case t.typtype when 'd' then t.typbasetype else t.typelem end as oid,
        chain.depth + 1 as depth,
        chain.is_array or t.typtype <> 'd' as is_array,
        chain.not_null or (t.typtype = 'd' and not chain.is_array and t.typnotnull) as not_null
    from chain
    inner join pg_catalog.pg_type as t on t.oid = chain.oid
    where t.typtype = 'd' or (t.typcategory = 'A' and t.typelem <> 0)
),

types as (
    select distinct on (chain.start)
        chain.start,
        chain.is_array,
        chain.not_null,
        t.typname,
        case when t.typtype in ('c', 'e', 'r', 'm') then t.typtype else t.typcategory end as category,
        (
            select coalesce(max(link.typtypmod), -1)
            from chain as part
            inner join pg_catalog.pg_type as link on link.oid = part.oid and link.typtype = 'd'
            where part.start = chain.start
        ) as size,
        (
            select pg_catalog.pg_get_expr(own.typdefaultbin, 0)
            from pg_catalog.pg_type as own
            where own.oid = chain.start
        ) as defaults_to,
        array(
            select e.enumlabel::text
            from pg_catalog.pg_enum as e
            where e.enumtypid = t.oid
            order by e.enumsortorder
        ) as labels,
        (
            select count(*)
            from pg_catalog.pg_attribute as a
            where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        ) as width,
        array(
            select pg_catalog.pg_get_constraintdef(k.oid)
            from chain as part
            inner join pg_catalog.pg_constraint as k on k.contypid = part.oid and k.contype = 'c'
            where part.start = chain.start
            order by k.conname
        ) as conditions
    from chain
    inner join pg_catalog.pg_type as t on t.oid = chain.oid
    order by chain.start, chain.depth desc
)

select
    c.nspname::text as schema,
    c.relname::text as name,
    array(
        select pg_catalog.json_build_object(
            'name', f.attname,
            'type', pg_catalog.format_type(f.atttypid, f.atttypmod),
            'not_null', f.attnotnull or t.not_null,
            'default', coalesce(f.defaults_to, t.defaults_to),
            'kind', t.typname,
            'category', t.category,
            'is_array', t.is_array,
            'size', case when f.atttypmod = -1 then t.size else f.atttypmod end,
            'width', t.width,
            'labels', t.labels,
            'conditions', t.conditions
        )
        from fields as f
        inner join types as t on t.start = f.atttypid
        where f.attrelid = c.oid
        order by f.attnum
    ) as columns,
    array(
        select pg_catalog.json_build_object(
            'columns', array(
                select a.attname
                from unnest(k.conkey) with ordinality as part (attnum, place)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.conrelid and a.attnum = part.attnum
                order by part.place
            ),
            'schema', n.nspname,
            'table', t.relname,
            'referred', array(
                select a.attname
                from unnest(k.confkey) with ordinality as part (attnum, place)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.confrelid and a.attnum = part.attnum
                order by part.place
            )
        )
        from pg_catalog.pg_constraint as k
        inner join pg_catalog.pg_class as t on t.oid = k.confrelid
        inner join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
        where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0
        order by k.conname
    ) as "references",
    array(
        select pg_catalog.json_build_object(
            'name', index.relname,
            'columns', array(
                select a.attname
                from pg_catalog.pg_attribute as a
                where a.attrelid = c.oid
                    and (
                        a.attnum = any (i.indkey::int2[])
                        or exists (
                            select
                            from pg_catalog.pg_depend as d
                            where i.indexprs is not null
                                and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                and d.objid = i.indexrelid
                                and d.refobjid = c.oid
                                and d.refobjsubid = a.attnum
                        )
                    )
                order by a.attnum
            ),
            'excludes', i.indisexclusion,
            'is_partial', i.indpred is not null
        )
        from pg_catalog.pg_index as i
        inner join pg_catalog.pg_class as index on index.oid = i.indexrelid
        where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
        order by index.relname
    ) as keys,
    array(
        select pg_catalog.json_build_object(
            'columns', array(
                select a.attname
                from pg_catalog.pg_attribute as a
                where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
                order by a.attnum
            ),
            'expression', pg_catalog.pg_get_expr(k.conbin, k.conrelid)
        )
        from pg_catalog.pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'c'
        order by k.conname
    )
    || case
        when c.relkind = 'p' then array(
            -- A partitioned table accepts a row if one of its partitions does.
            select pg_catalog.json_build_object(
                'columns', array(
                    select distinct a.attname
                    from pg_catalog.pg_partition_tree(c.oid) as branch
                    inner join pg_catalog.pg_partitioned_table as p on p.partrelid = branch.relid
                    inner join pg_catalog.pg_attribute as a
                        on a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[])
                    order by a.attname
                ),
                'expression', coalesce(
                    string_agg(
                        coalesce(pg_catalog.pg_get_partition_constraintdef(leaf.relid), 'true'),
                        ' or ' order by leaf.relid
                    ),
                    'false'
                )
            )
            from pg_catalog.pg_partition_tree(c.oid) as leaf
            where leaf.isleaf
        )
        else '{}'
    end as checks
from chosen as c
order by c.nspname, c.relname
