-- 0003_create_organizations_and_users, the way back
-- Drops both tables with all their rows.

drop table if exists public.users;
drop table if exists public.organizations;
