-- The relations of the schemas that belong neither to PostgreSQL nor to an extension, with columns,
-- references, and the privileges of the roles.

with extensions as (
    select d.classid, d.objid
    from pg_catalog.pg_depend as d
    where d.deptype = 'e'
),

roles as (
    select r.oid, r.rolname
    from pg_catalog.pg_roles as r
    where r.rolname = any (%(roles)s)
),

chosen as (
    select
        c.*,
        n.nspname,
        format('%%I.%%I', n.nspname, c.relname) as qualified,
        array(
            select roles.rolname::text
            from roles
            where pg_catalog.has_schema_privilege(roles.oid, n.oid, 'usage')
        ) as users
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (
            select
            from extensions
            where extensions.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and extensions.objid = c.oid
        )
)

select
    c.oid::bigint,
    c.nspname::text as schema,
    c.relname::text as name,
    c.qualified,
    c.relkind::text as kind,
    pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
    c.users,
    (
        select i.inhparent::bigint
        from pg_catalog.pg_inherits as i
        where i.inhrelid = c.oid and c.relispartition
    ) as parent,
    coalesce(
        (
            select option_value::bool
            from pg_catalog.pg_options_to_table(c.reloptions)
            where option_name = 'security_invoker'
        ),
        false
    ) as invoker,
    -- Not of a foreign table: its wrapper may have no handler.
    case
        when c.relkind in ('v', 'r', 'p') then pg_catalog.pg_relation_is_updatable(c.oid, true)
        else 0
    end as updatable,
    array(
        select pg_catalog.jsonb_build_object(
            'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'category', t.typcategory,
            'not_null', a.attnotnull,
            'filled', a.attidentity <> '' or a.atthasdef,
            'generated', a.attgenerated <> '' or a.attidentity = 'a',
            'select', array(
                select roles.rolname
                from roles
                where pg_catalog.has_column_privilege(roles.oid, c.oid, a.attnum, 'select')
            ),
            'insert', array(
                select roles.rolname
                from roles
                where pg_catalog.has_column_privilege(roles.oid, c.oid, a.attnum, 'insert')
            ),
            'update', array(
                select roles.rolname
                from roles
                where pg_catalog.has_column_privilege(roles.oid, c.oid, a.attnum, 'update')
            )
        )
        from pg_catalog.pg_attribute as a
        inner join pg_catalog.pg_type as t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and c.relkind <> 'S'
        order by a.attnum
    ) as columns,
    (
        select coalesce(pg_catalog.jsonb_object_agg(roles.rolname, held.names), '{}')
        from roles
        cross join lateral (
            select array_agg(privilege) as names
            from unnest(
                case
                    when c.relkind = 'S' then array['select', 'usage', 'update']
                    else array['delete', 'truncate', 'references', 'trigger']
                end
            ) as privilege
            where case
                when c.relkind = 'S' then pg_catalog.has_sequence_privilege(roles.oid, c.oid, privilege)
                else pg_catalog.has_table_privilege(roles.oid, c.oid, privilege)
            end
        ) as held
        where held.names is not null
    ) as privileges,
    array(
        select a.attname::text
        from pg_catalog.pg_index as i
        inner join pg_catalog.pg_attribute as a
            on a.attrelid = c.oid and a.attnum = any (i.indkey::int2[])
        where i.indrelid = c.oid and i.indisprimary
        order by a.attnum
    ) as key,
    array(
        select distinct d.refobjid::bigint
        from pg_catalog.pg_rewrite as w
        inner join pg_catalog.pg_depend as d
            on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = w.oid
        where w.ev_class = c.oid
            and c.relkind in ('v', 'm')
            and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and d.refobjid <> c.oid
    ) as bases,
    array(
        select pg_catalog.jsonb_build_object(
            'columns', array(
                select a.attname
                from unnest(k.conkey) with ordinality as part (attnum, place)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.conrelid and a.attnum = part.attnum
                order by part.place
            ),
            'oid', k.confrelid::bigint,
            'referred', array(
                select a.attname
                from unnest(k.confkey) with ordinality as part (attnum, place)
                inner join pg_catalog.pg_attribute as a
                    on a.attrelid = k.confrelid and a.attnum = part.attnum
                order by part.place
            )
        )
        from pg_catalog.pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'f'
        order by k.conname
    ) as "references",
    array(
        select pg_catalog.jsonb_build_object(
            'name', index.relname,
            'primary', i.indisprimary,
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
            )
        )
        from pg_catalog.pg_index as i
        inner join pg_catalog.pg_class as index on index.oid = i.indexrelid
        where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
        order by index.relname
    ) as keys
from chosen as c
order by c.nspname, c.relname
