-- A schema as row types are written from it, in one row: its relations with their columns, and the
-- types these are made of, by their oid. In order of name, as a restored database has it too. Left
-- out: partitions, whose rows are those of their parent, and what came with an extension.
-- %(schema)s: its name.

with recursive relation as (
    select
        c.oid,
        c.relname,
        c.relkind
    from pg_catalog.pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
        and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and not c.relispartition
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

used (oid) as (
    select a.atttypid
    from relation
    inner join pg_catalog.pg_attribute as a on a.attrelid = relation.oid
    where a.attnum > 0 and not a.attisdropped
    union
    select t.oid
    from pg_catalog.pg_type as t
    where t.typnamespace = to_regnamespace(quote_ident(%(schema)s))
        and t.typtype = 'e'
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_type'::regclass
                and d.objid = t.oid
                and d.deptype = 'e'
        )
    union
    select part.oid
    from used
    inner join pg_catalog.pg_type as t on t.oid = used.oid
    cross join lateral (
        select t.typelem
        union all
        select t.typbasetype
        union all
        select a.atttypid
        from pg_catalog.pg_attribute as a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) as part (oid)
    where part.oid <> 0
),

columns as (
    select
        a.attrelid,
        jsonb_agg(
            jsonb_build_object(
                'name', a.attname,
                'type', a.atttypid::text,
                'comment', col_description(a.attrelid, a.attnum),
                -- Since 18 a not-null constraint may stand there and not have been validated.
                'not_null', a.attnotnull and not exists (
                    select from pg_catalog.pg_constraint as c
                    where c.conrelid = a.attrelid
                        and c.contype = 'n'
                        and a.attnum = any(c.conkey)
                        and not c.convalidated
                ),
                -- A check that says this and nothing else, of every row and every child's.
                'object', exists (
                    select from pg_catalog.pg_constraint as c
                    where c.conrelid = a.attrelid
                        and c.contype = 'c'
                        and c.convalidated
                        and not c.connoinherit
                        and pg_get_expr(c.conbin, c.conrelid) = format(
                            '(%%s_typeof(%%I) = ''object''::text)',
                            a.atttypid::regtype,
                            a.attname
                        )
                )
            )
            order by a.attnum
        ) as list
    from pg_catalog.pg_attribute as a
    where a.attnum > 0
        and not a.attisdropped
        and a.attrelid in (
            select oid from relation
            union all
            select t.typrelid from used inner join pg_catalog.pg_type as t on t.oid = used.oid
        )
    group by a.attrelid
)

select
    (
        select coalesce(jsonb_agg(n.nspname order by n.nspname), '[]')
        from pg_catalog.pg_namespace as n
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    ) as schemas,
    (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'name', relation.relname,
                    'is_view', relation.relkind in ('v', 'm'),
                    'comment', obj_description(relation.oid, 'pg_class'),
                    'columns', coalesce(columns.list, '[]')
                )
                order by relation.relname
            ),
            '[]'
        )
        from relation
        left join columns on columns.attrelid = relation.oid
    ) as relations,
    (
        select coalesce(
            jsonb_object_agg(
                t.oid::text,
                jsonb_build_object(
                    'schema', n.nspname,
                    'name', t.typname,
                    'qualified', format_type(t.oid, null),
                    'kind', case
                        when element.oid is not null then 'array'
                        when t.typtype = 'd' then 'domain'
                        when t.typtype = 'e' then 'enum'
                        when t.typtype = 'c' then 'composite'
                        else 'base'
                    end,
                    'of', coalesce(element.oid, nullif(t.typbasetype, 0))::text,
                    'not_null', t.typnotnull,
                    'labels', coalesce(
                        (
                            select jsonb_agg(e.enumlabel order by e.enumsortorder)
                            from pg_catalog.pg_enum as e
                            where e.enumtypid = t.oid
                        ),
                        '[]'
                    ),
                    'comment', coalesce(
                        obj_description(t.oid, 'pg_type'), obj_description(t.typrelid, 'pg_class')
                    ),
                    'columns', coalesce(columns.list, '[]')
                )
            ),
            '{}'
        )
        from used
        inner join pg_catalog.pg_type as t on t.oid = used.oid
        inner join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
        left join pg_catalog.pg_type as element
            on element.oid = t.typelem and element.typarray = t.oid
        left join columns on columns.attrelid = t.typrelid
    ) as types
