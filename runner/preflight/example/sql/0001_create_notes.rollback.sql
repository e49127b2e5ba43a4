-- 0001_create_notes: rollback
-- The role stays: other databases of the server may use it.

drop table if exists public.notes;
drop table if exists public.tenants;
