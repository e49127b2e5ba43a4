-- 505_regrant_privileges
-- An API role grants its own privileges to anon.
-- safe: Nothing is granted; PostgreSQL only warns.
-- source: https://www.postgresql.org/docs/current/sql-grant.html (grant options)

-- as: OWNER, service_role
-- expect: done, 42501
grant select on public.projects to anon

-- as: OWNER, service_role
-- expect: done, 42501
grant usage on schema app to anon;
grant execute on function app.caller_org() to anon

-- as: anon
-- expect: nothing
select 1
where has_any_column_privilege('public.projects', 'select, insert, update')
    or has_schema_privilege('app', 'usage')
    or exists (
        select from pg_proc as f
        where f.pronamespace::regnamespace::text = 'app'
            and has_function_privilege(f.oid, 'execute')
    )
