-- 0006_create_caller_helpers
-- Who is asking. Every policy is made of these three answers.
-- depends: 0005_create_ai_agents_and_audit_logs

-- Decided from the users row alone: of the token only "sub" is believed, so whoever is demoted or
-- unlinked is so from the next statement on. No row, no answer, and null equals nothing.
--
-- Definer, for a policy on users that reads users as the caller would ask itself for ever.
-- plpgsql, for its plan is kept for the session. parallel safe, or big reads lose their workers.
-- search_path names pg_temp last: left out, it is searched first for types, and a tenant's own
-- pg_temp.uuid would run here as the owner.

create or replace function app.caller_org()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller uuid := auth.uid();
begin
    return (
        select u.org_id
        from public.users as u
        where u.auth_user_id = caller
    );
end
$$;
comment on function app.caller_org() is
    'The organization of whoever is asking; null for nobody.';
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
    caller uuid := auth.uid();
begin
    return (
        select u.org_id
        from public.users as u
        where u.auth_user_id = caller
            and u.roles && wanted
    );
end
$$;
comment on function app.caller_org_as(public.user_role[]) is
    'The organization of whoever is asking, if they hold one of these roles in it; else null.';
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
    caller uuid := auth.uid();
begin
    return (
        select u.id
        from public.users as u
        where u.auth_user_id = caller
    );
end
$$;
comment on function app.caller_user() is
    'The users.id of whoever is asking; null for nobody.';
revoke all on function app.caller_user() from public;
grant execute on function app.caller_user() to authenticated, service_role;
