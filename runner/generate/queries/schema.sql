-- The relations, references and types of one schema, in one row. Sorted by name, so that a restored
-- database gives the same result. Left out: partitions, because their rows belong to the parent, and
-- objects of extensions.
-- %(schema)s: the name of the schema. %(kinds)s: the values of pg_class.relkind to include.

with recursive relation as (
    select
        c.oid,
        c.relname,
        c.relkind
    from pg_catalog.pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
        and c.relkind = any(%(kinds)s::"char" [])
        and not c.relispartition
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

-- Unique keys as sorted lists of columns; partial and expression indexes do not count.
key as (
    select
        i.indrelid,
        i.indisprimary,
        (
            select array_agg(k.attnum order by k.attnum)
            from unnest(i.indkey::int2 []) with ordinality as k (attnum, place)
            where k.place <= i.indnkeyatts
        ) as attnums
    from relation
    inner join pg_catalog.pg_index as i on i.indrelid = relation.oid
    where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
),

reference as (
    select
        c.oid,
        c.conname,
        c.conrelid,
        c.conkey,
        c.confrelid,
        c.confkey
    from relation
    inner join pg_catalog.pg_constraint as c on c.conrelid = relation.oid
    -- A reference to a partitioned table has internal constraints for the partitions.
    where c.contype = 'f' and c.conparentid = 0
),

-- The types of the columns, the enums of the schema, and the types that these consist of.
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
                'declared_type', case
                    when starts_with(declared.type, declared.own)
                        then substr(declared.type, length(declared.own) + 1)
                    else declared.type
                end,
                'comment', coalesce(col_description(a.attrelid, a.attnum), ''),
                'not_null', a.attnotnull,
                -- Since 18 a not-null constraint may exist that was never validated.
                'enforced', a.attnotnull and not exists (
                    select from pg_catalog.pg_constraint as c
                    where c.conrelid = a.attrelid
                        and c.contype = 'n'
                        and a.attnum = any(c.conkey)
                        and not c.convalidated
                ),
                -- A check of exactly this condition, which holds for each row and each child's row.
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
                ),
                'primary', exists (
                    select from key
                    where key.indrelid = a.attrelid
                        and key.indisprimary
                        and a.attnum = any(key.attnums)
                ),
                'unique', exists (
                    select from key
                    where key.indrelid = a.attrelid and key.attnums = array[a.attnum]
                ),
                'refers', exists (
                    select from reference
                    where reference.conrelid = a.attrelid and a.attnum = any(reference.conkey)
                )
            )
            order by a.attnum
        ) as list
    from pg_catalog.pg_attribute as a
    cross join lateral (
        select
            format_type(a.atttypid, a.atttypmod) as type,
            quote_ident(%(schema)s) || '.' as own
    ) as declared
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
                    'comment', coalesce(obj_description(relation.oid, 'pg_class'), ''),
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
            jsonb_agg(
                jsonb_build_object(
                    'table', child.relname,
                    'columns', columns.names,
                    'to', parent.relname,
                    'to_schema', n.nspname,
                    'to_columns', to_columns.names,
                    'optional', not columns.not_null,
                    -- At most one row refers to each: a key is among the columns.
                    'single', exists (
                        select from key
                        where key.indrelid = reference.conrelid
                            and key.attnums <@ reference.conkey
                    )
                )
                order by child.relname, reference.conname
            ),
            '[]'
        )
        from reference
        inner join pg_catalog.pg_class as child on child.oid = reference.conrelid
        inner join pg_catalog.pg_class as parent on parent.oid = reference.confrelid
        inner join pg_catalog.pg_namespace as n on n.oid = parent.relnamespace
        cross join lateral (
            select
                jsonb_agg(a.attname order by k.place) as names,
                bool_and(a.attnotnull) as not_null
            from unnest(reference.conkey) with ordinality as k (attnum, place)
            inner join pg_catalog.pg_attribute as a
                on a.attrelid = reference.conrelid and a.attnum = k.attnum
        ) as columns
        cross join lateral (
            select jsonb_agg(a.attname order by k.place) as names
            from unnest(reference.confkey) with ordinality as k (attnum, place)
            inner join pg_catalog.pg_attribute as a
                on a.attrelid = reference.confrelid and a.attnum = k.attnum
        ) as to_columns
    ) as refs,
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
                        obj_description(t.oid, 'pg_type'),
                        obj_description(t.typrelid, 'pg_class'),
                        ''
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
