-- 0002_create_types_and_ids: rollback
-- Drop the functions and the enum types.

drop function if exists app.is_name(text);
drop function if exists app.new_id();
drop type if exists public.workflow_gate;
drop type if exists public.user_role;
drop type if exists public.billing_plan;
