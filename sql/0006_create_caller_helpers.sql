-- 0006_create_caller_helpers
-- Create the three functions that identify the caller. Every policy is based on them.
-- depends: 0005_create_ai_agents_and_audit_logs

-- The result depends on the row in users alone: the only trusted claim is "sub", so demoting or
-- unlinking a user takes effect with the next statement (READ COMMITTED) or the next transaction
-- (REPEATABLE READ). Roles and approvals are judged by the latest version of the row at any level,
-- see 0007. Without a row in users the result is null, which equals no org_id.
--
-- The functions are security definer, because a policy on users that read users as the caller would
-- recurse infinitely; plpgsql, because its plans are cached per session; and parallel safe, because
-- otherwise parallel plans would be disabled.
-- The cast is how users_auth_user_id_key is declared (see 0003). There are no statistics about it:
-- "limit 2" tells the planner to expect few rows, and two would still be an error.
-- search_path names pg_temp last: if it is omitted, pg_temp is searched first for types, and a
-- tenant's own pg_temp.uuid would run here as the owner.

create or replace function app.caller_org()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
begin
    return (
        select u.org_id
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
end
$$;
comment on function app.caller_org() is
    'The organization of the caller; null if the caller is not a linked user.';
revoke all on function app.caller_org() from public;
grant execute on function app.caller_org() to authenticated, service_role;

create or replace function app.caller_org_as(variadic wanted public.user_role[])
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
begin
    return (
        select case when u.roles && wanted then u.org_id end
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
end
$$;
comment on function app.caller_org_as(public.user_role[]) is
    'The organization of the caller, if they have one of these roles in it; otherwise null.';
revoke all on function app.caller_org_as(public.user_role[]) from public;
grant execute on function app.caller_org_as(public.user_role[]) to authenticated, service_role;

create or replace function app.caller_user()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
begin
    return (
        select u.id
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
end
$$;
comment on function app.caller_user() is
    'The users.id of the caller; null if the caller is not a linked user.';
revoke all on function app.caller_user() from public;
grant execute on function app.caller_user() to authenticated, service_role;
