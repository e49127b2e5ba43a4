-- Whether this session could run programs on the server, and a role other than superusers, this user
-- and the owner of the database owns something in the database. Objects of the first superuser are
-- not in pg_shdepend.
select exists (
    select
    from pg_catalog.pg_roles as r
    where (r.rolsuper or r.rolname in ('pg_execute_server_program', 'pg_write_server_files'))
        and pg_catalog.pg_has_role(session_user, r.oid, 'member')
) and exists (
    select
    from pg_catalog.pg_shdepend as s
    inner join pg_catalog.pg_database as d on d.oid = s.dbid and d.datname = current_database()
    inner join pg_catalog.pg_roles as r on r.oid = s.refobjid
    where s.deptype = 'o'
        and s.refclassid = 'pg_catalog.pg_authid'::regclass::oid
        and not r.rolsuper
        and r.rolname <> session_user
        and r.oid <> d.datdba
)
