-- 0007_guard_rows: rollback
-- Drop the triggers and their functions.

drop trigger if exists guard_approval on public.workflows;
drop trigger if exists keep_id on public.organizations;
drop trigger if exists keep_last_owner on public.users;
drop trigger if exists guard_roles on public.users;
drop trigger if exists touch_updated_at on public.projects;
drop trigger if exists touch_updated_at on public.users;
drop function if exists app.guard_approval();
drop function if exists app.keep_id();
drop function if exists app.keep_last_owner();
drop function if exists app.guard_roles();
drop function if exists app.touch_updated_at();
drop function if exists app.lock_caller_as(public.user_role[]);
drop function if exists app.is_tenant(oid);
