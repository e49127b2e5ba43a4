-- A schema as its diagram shows it, in one row: its tables with their columns, the references among
-- them and out of the schema, and the enums they use. In order of name, as a restored database has
-- it too. Left out: views, partitions, whose rows are those of their parent, and what came with an
-- extension. %(schema)s: its name.

with shown as (
    select
        c.oid,
        c.relname
    from pg_catalog.pg_class as c
    where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
        and c.relkind in ('r', 'p', 'f')
        and not c.relispartition
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_class'::regclass
                and d.objid = c.oid
                and d.deptype = 'e'
        )
),

-- Keys as sorted lists of columns; those of a part of the rows are none.
key as (
    select
        i.indrelid,
        i.indisprimary,
        (
            select array_agg(k.attnum order by k.attnum)
            from unnest(i.indkey::int2 []) with ordinality as k (attnum, place)
            where k.place <= i.indnkeyatts
        ) as attnums
    from shown
    inner join pg_catalog.pg_index as i on i.indrelid = shown.oid
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
    from shown
    inner join pg_catalog.pg_constraint as c on c.conrelid = shown.oid
    -- What a reference to a partitioned table is made of inside is no reference of its own.
    where c.contype = 'f' and c.conparentid = 0
),

col as (
    select
        a.attrelid,
        a.attnum,
        a.attname,
        a.attnotnull,
        format_type(a.atttypid, a.atttypmod) as type,
        coalesce(element.oid, t.oid) as base
    from shown
    inner join pg_catalog.pg_attribute as a on a.attrelid = shown.oid
    inner join pg_catalog.pg_type as t on t.oid = a.atttypid
    left join pg_catalog.pg_type as element
        on element.oid = t.typelem and element.typarray = t.oid
    where a.attnum > 0 and not a.attisdropped
),

enum as (
    select
        t.oid,
        case
            when n.nspname = %(schema)s then t.typname::text
            else n.nspname || '.' || t.typname
        end as name
    from pg_catalog.pg_type as t
    inner join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
    where t.typtype = 'e' and t.oid in (select col.base from col)
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
                    'name', shown.relname,
                    'comment', coalesce(obj_description(shown.oid, 'pg_class'), ''),
                    'columns', (
                        select coalesce(
                            jsonb_agg(
                                jsonb_build_object(
                                    'name', col.attname,
                                    'type', case
                                        when starts_with(col.type, qualifier)
                                            then substr(col.type, length(qualifier) + 1)
                                        else col.type
                                    end,
                                    'enum', (
                                        select enum.name from enum where enum.oid = col.base
                                    ),
                                    'nullable', not col.attnotnull,
                                    'comment', coalesce(
                                        col_description(col.attrelid, col.attnum), ''
                                    ),
                                    'primary', exists (
                                        select from key
                                        where key.indrelid = shown.oid
                                            and key.indisprimary
                                            and col.attnum = any (key.attnums)
                                    ),
                                    'unique', exists (
                                        select from key
                                        where key.indrelid = shown.oid
                                            and key.attnums = array[col.attnum]
                                    ),
                                    'refers', exists (
                                        select from reference
                                        where reference.conrelid = shown.oid
                                            and col.attnum = any (reference.conkey)
                                    )
                                )
                                order by col.attnum
                            ),
                            '[]'
                        )
                        from col
                        where col.attrelid = shown.oid
                    )
                )
                order by shown.relname
            ),
            '[]'
        )
        from shown
    ) as tables,
    (
        select coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'name', reference.conname,
                    'table', child.relname,
                    'columns', columns.names,
                    'to', parent.relname,
                    'to_schema', n.nspname,
                    'to_columns', to_columns.names,
                    'optional', not columns.not_null,
                    -- At most one row refers to one: a key is among the columns.
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
            jsonb_agg(
                jsonb_build_object(
                    'name', enum.name,
                    'comment', coalesce(obj_description(enum.oid, 'pg_type'), ''),
                    'labels', (
                        select coalesce(jsonb_agg(e.enumlabel order by e.enumsortorder), '[]')
                        from pg_catalog.pg_enum as e
                        where e.enumtypid = enum.oid
                    )
                )
                order by enum.name
            ),
            '[]'
        )
        from enum
    ) as enums
from (values (quote_ident(%(schema)s) || '.')) as own (qualifier)
