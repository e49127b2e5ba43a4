-- 0005_create_request_functions: rollback
-- Drop the functions.

drop function if exists app.sync_accounts();
drop function if exists app.link_user(text, text, uuid);
drop function if exists app.add_user(text, text, text, public.user_role[], uuid);
drop function if exists app.invite(text, text, public.user_role[]);
drop function if exists app.pre_request();
