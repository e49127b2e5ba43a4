-- 56_service_role_bypasses_policies
-- service_role has BYPASSRLS, as on Supabase.
-- source: https://supabase.com/docs/guides/api/api-keys (service_role)
-- why: It accesses all tenants by policy here; with BYPASSRLS also where no policy was written.
-- level: warning

select
    'role service_role' as object,
    'it has BYPASSRLS: on Supabase that is the default, and its policies here have no effect'
        as problem,
    'alter role service_role nobypassrls;  -- on Supabase: keep its key on servers only' as fix
from pg_roles as r
where r.rolname = 'service_role'
    and r.rolbypassrls
