-- 0003_create_organizations_and_users: rollback
-- Drop both tables and all their rows.

drop table if exists public.users;
drop table if exists public.organizations;
