-- 0005_create_request_functions
-- Create functions that bring the claims to the workers, and that write a user and their account.
-- depends: 0004_distribute_tables

-- claims ------------------------------------------------------------------------------------------

-- What set_config and SET LOCAL set stays on the coordinator, where no policy is evaluated. So each
-- transaction calls this function once role and claims are set: PostgREST by db-pre-request, any
-- other client itself. Without it the workers see no claims, and a tenant sees no rows.
create or replace function app.pre_request()
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
set citus.propagate_set_commands = 'local'
as $$
begin
    execute format(
        'set local request.jwt.claims = %L',
        coalesce(current_setting('request.jwt.claims', true), '')
    );
    -- Otherwise a read of many shards would prevent a later write of app.accounts.
    perform set_config('citus.multi_shard_modify_mode', 'sequential', true);
end
$$;
comment on function app.pre_request() is
    'Sends the claims of the request to the workers, for this transaction.';
revoke all on function app.pre_request() from public;
grant execute on function app.pre_request() to authenticated, service_role;

-- users -------------------------------------------------------------------------------------------

-- A user and their account are written in one transaction by one role: Citus uses a connection for
-- each role, and one does not see what another has not committed. Tenants have no privilege on
-- app.accounts, so this is security definer, and checks what the policy insert_admin and
-- app.guard_roles() check when a tenant inserts a row of users. For the same reason it is alone in
-- its transaction: Citus refuses a statement of the tenant about users before or after it (25001).
create or replace function app.invite(
    email text,
    name text,
    roles public.user_role[] default '{MEMBER}'
)
returns text
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    invited text := app.new_id();
    caller_org text := app.lock_caller_as('OWNER');
begin
    if caller_org is null and not 'OWNER' = any (invite.roles) then
        caller_org := app.lock_caller_as('ADMIN');
    end if;

    if caller_org is null then
        raise exception 'an OWNER invites users with any roles, an ADMIN with any except OWNER'
            using errcode = 'insufficient_privilege';
    end if;

    insert into app.accounts (email, org_id, user_id)
    values (invite.email, caller_org, invited);

    insert into public.users (org_id, id, email, name, roles)
    values (caller_org, invited, invite.email, invite.name, invite.roles);

    return invited;
end
$$;
comment on function app.invite(text, text, public.user_role[]) is
    'Adds a user to the caller''s organization; returns the id.';
revoke all on function app.invite(text, text, public.user_role[]) from public;
grant execute on function app.invite(text, text, public.user_role[]) to authenticated;

create or replace function app.add_user(
    org_id text,
    email text,
    name text,
    roles public.user_role[] default '{MEMBER}',
    auth_user_id uuid default null
)
returns text
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    added text := app.new_id();
begin
    insert into app.accounts (email, org_id, user_id, auth_user_id)
    values (add_user.email, add_user.org_id, added, add_user.auth_user_id);

    insert into public.users (org_id, id, email, name, roles, auth_user_id)
    values (
        add_user.org_id,
        added,
        add_user.email,
        add_user.name,
        add_user.roles,
        add_user.auth_user_id
    );

    return added;
end
$$;
comment on function app.add_user(text, text, text, public.user_role[], uuid) is
    'Adds a user to any organization, for the platform; returns the id.';
revoke all on function app.add_user(text, text, text, public.user_role[], uuid) from public;
grant execute on function app.add_user(text, text, text, public.user_role[], uuid)
to service_role;

create or replace function app.link_user(org_id text, user_id text, auth_user_id uuid)
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
begin
    update app.accounts as a
    set auth_user_id = link_user.auth_user_id
    where a.org_id = link_user.org_id
        and a.user_id = link_user.user_id;

    update public.users as u
    set auth_user_id = link_user.auth_user_id
    where u.org_id = link_user.org_id
        and u.id = link_user.user_id;
end
$$;
comment on function app.link_user(text, text, uuid) is
    'Sets the account that signs in as this user; null ends access immediately.';
revoke all on function app.link_user(text, text, uuid) from public;
grant execute on function app.link_user(text, text, uuid) to service_role;

-- For rows of users that were written or deleted without their accounts, such as those of seeds.
-- The transaction begins with: set local citus.multi_shard_modify_mode = 'sequential';
-- A COPY of users takes no part in that mode: copy app.accounts before, in another transaction.
create or replace function app.sync_accounts()
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    removed text[];
begin
    removed := array(
        select a.org_id || a.user_id from app.accounts as a
        except
        select u.org_id || u.id from public.users as u
    );

    delete from app.accounts as a
    where a.org_id || a.user_id = any (removed);

    insert into app.accounts as a (email, org_id, user_id, auth_user_id)
    select u.email, u.org_id, u.id, u.auth_user_id
    from public.users as u
    on conflict (org_id, user_id) do update
    set
        email = excluded.email,
        auth_user_id = excluded.auth_user_id
    where (a.email, a.auth_user_id) is distinct from (excluded.email, excluded.auth_user_id);
end
$$;
comment on function app.sync_accounts() is
    'Makes app.accounts agree with users, in the transaction that has written users.';
revoke all on function app.sync_accounts() from public;
grant execute on function app.sync_accounts() to service_role;
