-- 0006_create_caller_helpers: rollback
-- Drop the three helpers.

drop function if exists app.caller_user();
drop function if exists app.caller_org_as(public.user_role[]);
drop function if exists app.caller_org();
