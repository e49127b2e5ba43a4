-- The preconditions of verify, checked before anything is tried. Role names come quoted, for hints.

select
    pg_catalog.pg_is_in_recovery() as standby,
    pg_catalog.current_setting('transaction_read_only')::bool as read_only,
    quote_ident(session_user) as me,
    -- The first name of the file that is not here, with the names that are.
    (
        select jsonb_build_object(
            'line', wanted.line,
            'table', format('%%s.%%s', wanted.schema, wanted.table_name),
            'column', wanted.column_name,
            'word', coalesce(wanted.column_name, wanted.table_name),
            'known', array(
                select a.attname
                from pg_catalog.pg_attribute as a
                where a.attrelid = here.oid and a.attnum > 0 and not a.attisdropped
                union all
                select c.relname
                from pg_catalog.pg_class as c
                where here.oid is null
                    and c.relnamespace = to_regnamespace(quote_ident(wanted.schema))
                    and c.relkind in ('r', 'p', 'v')
            )
        )
        from jsonb_to_recordset(%(names)s::jsonb)
            as wanted (line int, schema text, table_name text, column_name text)
        cross join lateral (
            select to_regclass(format('%%I.%%I', wanted.schema, wanted.table_name))::oid
        ) as here (oid)
        where case
            when wanted.column_name is null then here.oid is null
            else here.oid is not null and not exists (
                select from pg_catalog.pg_attribute as a
                where a.attrelid = here.oid
                    and a.attname = wanted.column_name
                    and not a.attisdropped
            )
        end
        order by here.oid is not null, wanted.line
        limit 1
    ) as missing,
    array(
        select name
        from unnest(%(tables)s::text[]) as name
        where pg_catalog.to_regclass(format('public.%%I', name)) is not null
    ) as present_tables,
    array(
        select name
        from unnest(%(roles)s::text[]) as name
        where pg_catalog.to_regrole(quote_ident(name)) is null
    ) as absent_roles,
    array(
        select quote_ident(r.rolname)
        from pg_catalog.pg_roles as r
        where r.rolname = any (%(roles)s)
            and not pg_catalog.pg_has_role(
                session_user, r.oid,
                case
                    when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set'
                    else 'member'
                end
            )
    ) as closed_roles,
    array(
        select name
        from unnest(%(tables)s::text[]) as name
        where pg_catalog.to_regclass(format('public.%%I', name)) is not null
            and not pg_catalog.has_table_privilege(format('public.%%I', name), 'insert')
    ) as closed_tables,
    array(
        select name
        from unnest(%(schemas)s::text[]) as name
        where pg_catalog.to_regnamespace(quote_ident(name)) is null
    ) as unknown_schemas
