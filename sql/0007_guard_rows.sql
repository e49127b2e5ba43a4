-- 0007_guard_rows
-- Add triggers for rules that policies cannot express: restrictions on changes, and invariants.
-- depends: 0006_create_caller_helpers

-- There are two kinds of rule. A permission applies to tenants; a violation raises 42501. An
-- invariant applies to every role, including service_role and the owner; a violation raises 23514.
--
-- The functions are security invoker, to see which role writes, unless noted. Those that judge the
-- caller or an approver are volatile and lock that user's row: a snapshot, of a transaction or an
-- open cursor, may be older than a demotion.

-- tenants -----------------------------------------------------------------------------------------

create or replace function app.is_tenant(relation oid)
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Depends on the role, not on the token: a missing claim must not make a tenant the platform.
    return row_security_active(relation) and not pg_has_role('service_role', 'usage');
end
$$;
comment on function app.is_tenant(oid) is
    'Whether row-level security applies to the current role on this table. False for service_role.';
revoke all on function app.is_tenant(oid) from public;
grant execute on function app.is_tenant(oid) to authenticated, service_role;

-- Security definer, because not every caller may lock a row of users. A demotion by another session
-- has to wait for the lock, or is seen: under READ COMMITTED the caller is refused, and under
-- REPEATABLE READ the statement fails with a serialization error.
create or replace function app.lock_caller_as(variadic wanted public.user_role[])
returns text
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
    locked record;
begin
    select u.org_id, u.roles
    into locked
    from public.users as u
    where u.auth_user_id::text = caller
    limit 1
    for share;

    return case when locked.roles && wanted then locked.org_id end;
end
$$;
comment on function app.lock_caller_as(public.user_role[]) is
    'Like app.caller_org_as(), but from the latest version of the row, which stays locked.';
revoke all on function app.lock_caller_as(public.user_role[]) from public;
grant execute on function app.lock_caller_as(public.user_role[]) to authenticated, service_role;

-- updated_at --------------------------------------------------------------------------------------

create or replace function app.touch_updated_at()
returns trigger
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := old.updated_at;  -- ignore any value that was sent

    if new is distinct from old then
        new.updated_at := now();
    end if;

    return new;
end
$$;
comment on function app.touch_updated_at() is
    'Sets updated_at if, and only if, another column changed.';
revoke all on function app.touch_updated_at() from public;

create or replace trigger touch_updated_at
before update on public.users
for each row execute function app.touch_updated_at();

create or replace trigger touch_updated_at
before update on public.projects
for each row execute function app.touch_updated_at();

-- roles -------------------------------------------------------------------------------------------

create or replace function app.guard_roles()
returns trigger
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' and new.roles is not distinct from old.roles then
        return new;
    end if;

    -- For each row again: a statement in which an OWNER also steps down may be refused.
    if not app.is_tenant(tg_relid) then
        return new;
    end if;

    if app.lock_caller_as('OWNER') is not distinct from new.org_id then
        return new;
    end if;

    if app.lock_caller_as('ADMIN') is distinct from new.org_id then
        raise exception 'only an OWNER or ADMIN may give roles'
            using errcode = 'insufficient_privilege';
    end if;

    if 'OWNER' = any (old.roles || new.roles) then
        raise exception 'only an OWNER may grant or revoke the role OWNER'
            using errcode = 'insufficient_privilege';
    end if;

    return new;
end
$$;
comment on function app.guard_roles() is
    'An OWNER may give any roles, an ADMIN only roles that do not include OWNER.';
revoke all on function app.guard_roles() from public;

create or replace trigger guard_roles
before insert or update on public.users
for each row execute function app.guard_roles();

-- the last owner ----------------------------------------------------------------------------------

-- Security definer, because a user who has just stepped down may not update the organization. An
-- after trigger, because one statement may transfer the role. The update serves as a lock: a second
-- session that removes an OWNER waits for it, then counts again or, under REPEATABLE READ, fails
-- with a serialization error. "for update" would not cause that error.
create or replace function app.keep_last_owner()
returns trigger
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not 'OWNER' = any (old.roles) then
        return null;
    end if;

    if tg_op = 'UPDATE' then
        if new.org_id = old.org_id and 'OWNER' = any (new.roles) then
            return null;
        end if;
    end if;

    update public.organizations
    set name = name
    where id = old.org_id;

    if not found then
        return null;  -- this transaction deletes the organization itself
    end if;

    if not exists (
        select
        from public.users as u
        where u.org_id = old.org_id
            and 'OWNER' = any (u.roles)
    ) then
        raise exception 'organization % would be left without an OWNER', old.org_id
            using errcode = 'check_violation', constraint = 'keep_last_owner',
            hint = 'Make another user OWNER first.';
    end if;

    return null;
end
$$;
comment on function app.keep_last_owner() is
    'An organization never loses its last OWNER, even if two step down concurrently.';
revoke all on function app.keep_last_owner() from public;

create or replace trigger keep_last_owner
after update of roles, org_id or delete on public.users
for each row execute function app.keep_last_owner();

-- the organization's id ---------------------------------------------------------------------------

-- Foreign keys to an organization can be deferred to the end of the transaction (see 0003). Until
-- then its row could be deleted and inserted again with the same id, which would bypass
-- keep_last_owner in between. An after trigger, because an insert may end in a conflict and add no
-- row.
create or replace function app.keep_id()
returns trigger
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        if new.id = old.id then
            return null;
        end if;

        raise exception 'the id of organization % cannot change', old.id
            using errcode = 'check_violation', constraint = 'keep_id';
    end if;

    if exists (
        select
        from public.audit_logs as l
        where l.org_id = new.id
    ) then
        raise exception 'id % belongs to an organization that has audit logs', new.id
            using errcode = 'check_violation', constraint = 'keep_id',
            hint = 'Omit the id to use its default.';
    end if;

    return null;
end
$$;
comment on function app.keep_id() is
    'The id of an organization never changes and is never reused while it has audit logs.';
revoke all on function app.keep_id() from public;

create or replace trigger keep_id
after insert or update of id on public.organizations
for each row execute function app.keep_id();

-- approval ----------------------------------------------------------------------------------------

create or replace function app.guard_approval()
returns trigger
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    is_tenant boolean := app.is_tenant(tg_relid);
    was_approved boolean := tg_op = 'UPDATE' and old.status = 'approved';
    is_approved boolean := new.status = 'approved';
begin
    -- The project, gate and metadata of an approved workflow cannot change.
    if was_approved
        and (new.org_id, new.project_id, new.gate, new.metadata)
        is distinct from (old.org_id, old.project_id, old.gate, old.metadata)
    then
        raise exception 'workflow % is approved: its project, gate and metadata cannot change',
            old.id
            using errcode = 'check_violation', constraint = 'guard_approval',
            hint = 'Un-approve it first.';
    end if;

    -- Tenants: only an OWNER or ADMIN may approve or un-approve.
    if is_tenant and is_approved <> was_approved then
        if tg_op = 'INSERT' then
            raise exception 'a workflow cannot be created as approved'
                using errcode = 'insufficient_privilege';
        end if;

        if app.lock_caller_as('OWNER', 'ADMIN') is distinct from new.org_id then
            raise exception 'only an OWNER or ADMIN may approve or un-approve'
                using errcode = 'insufficient_privilege';
        end if;
    end if;

    -- Set approver and time. An approver without approval violates workflows_approval_check.
    if was_approved and not is_approved then
        new.approver_id := null;
        new.approved_at := null;

    elsif is_tenant and was_approved then
        new.approver_id := old.approver_id;
        new.approved_at := old.approved_at;

    elsif is_tenant and is_approved then
        new.approver_id := app.caller_user();
        new.approved_at := now();

    -- The platform sets the approver and optionally the time. An unchanged approval is not
    -- checked again, because its approver may have lost the role since.
    elsif is_approved
        and (was_approved, new.approver_id, new.approved_at)
        is distinct from (true, old.approver_id, old.approved_at)
    then
        new.approved_at := coalesce(new.approved_at, now());

        if new.approved_at > clock_timestamp() then
            raise exception 'approved_at cannot be in the future: %', new.approved_at
                using errcode = 'check_violation', constraint = 'guard_approval';
        end if;

        perform
        from public.users as u
        where u.org_id = new.org_id
            and u.id = new.approver_id
            and u.roles && '{OWNER,ADMIN}'
        for share;

        if not found then
            raise exception 'approver_id must be an OWNER or ADMIN of the organization'
                using errcode = 'check_violation', constraint = 'guard_approval';
        end if;
    end if;

    return new;
end
$$;
comment on function app.guard_approval() is
    'Approver and approval time are set and cleared together, and are validated.';
revoke all on function app.guard_approval() from public;

create or replace trigger guard_approval
before insert or update on public.workflows
for each row execute function app.guard_approval();
