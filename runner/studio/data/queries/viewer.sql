-- Act as a role until the transaction ends, with time limits. The role comes last because not every
-- role may change the settings before it.
--
-- search_path is limited if this session could run programs on the server, and an untrusted owner, as
-- untrusted.sql of verify has them, has a function or operator that could be used instead of one of
-- PostgreSQL. So the operators here compare values of one type.
select
    pg_catalog.set_config('statement_timeout', %(timeout)s, true),
    pg_catalog.set_config('lock_timeout', '1s', true),
    pg_catalog.set_config('timezone', 'UTC', true),
    pg_catalog.set_config('datestyle', 'ISO', true),
    pg_catalog.set_config('intervalstyle', 'postgres', true),
    pg_catalog.set_config('bytea_output', 'hex', true),
    case
        when exists (
            select
            from pg_catalog.pg_roles as r
            where (
                    r.rolsuper
                    or r.rolname in ('pg_execute_server_program', 'pg_write_server_files')
                )
                and pg_catalog.pg_has_role(session_user, r.oid, 'member')
        ) and exists (
            select
            from pg_catalog.pg_shdepend as s
            inner join pg_catalog.pg_database as d on d.oid = s.dbid
            inner join pg_catalog.pg_roles as r on r.oid = s.refobjid
            left join pg_catalog.pg_proc as p
                on s.classid = 'pg_catalog.pg_proc'::regclass and p.oid = s.objid
            left join pg_catalog.pg_operator as o
                on s.classid = 'pg_catalog.pg_operator'::regclass and o.oid = s.objid
            inner join pg_catalog.pg_namespace as n
                on n.oid = coalesce(p.pronamespace, o.oprnamespace)
            where s.deptype = 'o'
                and s.refclassid = 'pg_catalog.pg_authid'::regclass
                and d.datname = current_database()
                and n.nspname in ('public', session_user)
                and not r.rolsuper
                and r.rolname <> session_user
                and r.oid <> d.datdba
        ) then pg_catalog.set_config('search_path', 'pg_catalog', true)
    end,
    pg_catalog.set_config('role', %(role)s, true)
