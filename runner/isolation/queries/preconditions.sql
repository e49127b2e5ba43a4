-- The preconditions of verify, checked before anything is tried. Role names come quoted, for hints.

select
    pg_catalog.pg_is_in_recovery() as standby,
    pg_catalog.current_setting('transaction_read_only')::bool as read_only,
    quote_ident(session_user) as me,
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
        from unnest(%(schemas)s::text[]) as name
        where pg_catalog.to_regnamespace(quote_ident(name)) is null
    ) as unknown_schemas
