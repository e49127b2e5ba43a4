-- 56_role_bypasses_policies
-- A role that crosses tenants has BYPASSRLS, as service_role on Supabase.
-- source: https://supabase.com/docs/guides/api/api-keys (service_role)
-- why: By policy it accesses what a policy names; with BYPASSRLS also where no policy was written.
-- level: warning

select
    format('role %I', r.rolname) as object,
    'it has BYPASSRLS: on Supabase that is the default, and its policies have no effect'
        as problem,
    format('alter role %I nobypassrls;  -- on Supabase: keep its key on servers only', r.rolname)
        as fix
from pg_roles as r
where r.oid in (select p.oid from platform_role as p)
    and r.rolbypassrls
