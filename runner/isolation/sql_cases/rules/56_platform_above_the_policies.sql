-- 56_platform_above_the_policies
-- service_role has BYPASSRLS, as Supabase gives it.
-- source: https://supabase.com/docs/guides/api/api-keys (service_role)
-- why: It crosses tenants by policy here; with BYPASSRLS it does so where none was written, too.
-- level: warning

select
    'role service_role' as object,
    'it has BYPASSRLS: on Supabase that is how it comes, and its policies here change nothing'
        as problem,
    'alter role service_role nobypassrls;  -- on Supabase: keep its key on servers only' as fix
from pg_roles as r
where r.rolname = 'service_role'
    and r.rolbypassrls
