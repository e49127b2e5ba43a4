-- 506_shadow_table
-- A tenant creates temporary tables and views that shadow the real ones.
-- safe: They may not create any, or no function or policy searches pg_temp for tables.
-- source: CVE-2007-2138; https://www.postgresql.org/docs/current/sql-createfunction.html (pg_temp
--   last)

-- as: ADMIN
-- expect: done, 42501
create temporary table users as
select :'org' as org_id, :'admin' as id, '{OWNER}'::public.user_role[] as roles,
    :'admin_uuid'::uuid as auth_user_id

-- as: ADMIN
-- expect: done, 42501
create temporary table organizations (id text, name text);
create temporary table audit_logs (org_id text, actor_id text)

-- as: ADMIN
-- expect: own
set local search_path = pg_temp, pg_catalog, public, app, auth;
select distinct org_id from public.projects

-- as: ADMIN
-- expect: 42501
set local search_path = pg_temp, pg_catalog, public, app, auth;
update public.users set roles = '{OWNER}' where org_id = :'org' and id = :'me'

-- as: ADMIN
-- expect: nothing
set local search_path = pg_temp, pg_catalog, public, app, auth;
update public.organizations set name = 'Taken' where id = :'org'

-- as: ADMIN
-- expect: rows
set local search_path = pg_temp, pg_catalog, public, app, auth;
update public.projects set name = 'Renamed' where org_id = :'org' and id = :'project'

-- as: owner
-- expect: rows
select 1 from public.audit_logs
where org_id = :'org' and actor_id = :'admin' and action = 'update' and target_id = :'project'
