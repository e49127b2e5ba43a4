-- 0007_guard_rows
-- What a policy cannot say: which change of a row is allowed, and what must hold whoever writes.
-- depends: 0006_create_caller_helpers

-- Two kinds of rule. A permission binds tenants, and its breach is 42501. An invariant binds
-- everybody, service_role and the owner too, and its breach is 23514.
--
-- Guards are invoker, to see which role writes, and stable, to judge every row of a statement by
-- what the statement found, not by what it has half done.

-- who is a tenant ---------------------------------------------------------------------------------

create or replace function app.is_tenant(relation oid)
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Asked of the role, never of the token: no missing claim turns a tenant into the platform.
    return row_security_active(relation) and not pg_has_role('service_role', 'usage');
end
$$;
comment on function app.is_tenant(oid) is
    'Whether the current role is held by row-level security on this table and is not service_role.';
revoke all on function app.is_tenant(oid) from public;
grant execute on function app.is_tenant(oid) to authenticated, service_role;

-- updated_at --------------------------------------------------------------------------------------

create or replace function app.touch_updated_at()
returns trigger
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := old.updated_at;  -- whatever was sent: this column is the database's

    if new is distinct from old then
        new.updated_at := now();
    end if;

    return new;
end
$$;
comment on function app.touch_updated_at() is
    'Moves updated_at when, and only when, something else moved.';
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
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if not app.is_tenant(tg_relid) then
        return new;
    end if;

    if app.caller_org_as('OWNER') is not distinct from new.org_id then
        return new;
    end if;

    if app.caller_org_as('ADMIN') is distinct from new.org_id then
        raise exception 'only an OWNER or ADMIN changes roles'
            using errcode = 'insufficient_privilege';
    end if;

    if 'OWNER' = any (old.roles || new.roles) then
        raise exception 'only an OWNER gives or takes the role OWNER'
            using errcode = 'insufficient_privilege';
    end if;

    return new;
end
$$;
comment on function app.guard_roles() is
    'Roles are changed by an OWNER; by an ADMIN only where OWNER is not among them.';
revoke all on function app.guard_roles() from public;

create or replace trigger guard_roles
before update on public.users
for each row
when (new.roles is distinct from old.roles)
execute function app.guard_roles();

-- the last owner ----------------------------------------------------------------------------------

-- Definer, for whoever steps down may not update the organization. After, so that one statement may
-- hand the role over. The update is the lock: a second session stepping down waits for it, then
-- counts again, or under REPEATABLE READ fails to serialize. "for update" would let it pass there.
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
        return null;  -- the organization itself is going, in this transaction
    end if;

    if not exists (
        select
        from public.users as u
        where u.org_id = old.org_id
            and 'OWNER' = any (u.roles)
    ) then
        raise exception 'organization % would be left without an OWNER', old.org_id
            using errcode = 'check_violation', constraint = 'keep_last_owner',
            hint = 'Make somebody else OWNER first.';
    end if;

    return null;
end
$$;
comment on function app.keep_last_owner() is
    'An organization never loses its last OWNER, not even to two who step down at once.';
revoke all on function app.keep_last_owner() from public;

create or replace trigger keep_last_owner
after update of roles, org_id or delete on public.users
for each row execute function app.keep_last_owner();

-- the organization's id ---------------------------------------------------------------------------

-- References to an organization may wait for the end of the transaction (0003 says why). Until then
-- its row could go and another come under the same id, with nobody to ask who the owners are.
-- After, for an insert that only meets a conflict gives no id.
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
        raise exception 'the id % belongs to an organization with a history', new.id
            using errcode = 'check_violation', constraint = 'keep_id',
            hint = 'Leave the id to its default.';
    end if;

    return null;
end
$$;
comment on function app.keep_id() is
    'An organization''s id never changes, and is never given again while its log is there.';
revoke all on function app.keep_id() from public;

create or replace trigger keep_id
after insert or update of id on public.organizations
for each row execute function app.keep_id();

-- approval ----------------------------------------------------------------------------------------

create or replace function app.guard_approval()
returns trigger
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    is_tenant boolean := app.is_tenant(tg_relid);
    was_approved boolean := tg_op = 'UPDATE' and old.status = 'approved';
    is_approved boolean := new.status = 'approved';
begin
    -- What was approved stays what was approved.
    if was_approved
        and (new.org_id, new.project_id, new.gate, new.metadata)
        is distinct from (old.org_id, old.project_id, old.gate, old.metadata)
    then
        raise exception 'workflow % is approved: its project, gate and metadata are fixed', old.id
            using errcode = 'check_violation', constraint = 'guard_approval',
            hint = 'Un-approve it first.';
    end if;

    -- Who may.
    if is_tenant and is_approved <> was_approved then
        if tg_op = 'INSERT' then
            raise exception 'a workflow starts unapproved'
                using errcode = 'insufficient_privilege';
        end if;

        if app.caller_org_as('OWNER', 'ADMIN') is distinct from new.org_id then
            raise exception 'only an OWNER or ADMIN approves or un-approves'
                using errcode = 'insufficient_privilege';
        end if;
    end if;

    -- Who did, and when. An approver of something unapproved fails workflows_approval_check.
    if was_approved and not is_approved then
        new.approver_id := null;
        new.approved_at := null;

    elsif is_tenant and was_approved then
        new.approver_id := old.approver_id;
        new.approved_at := old.approved_at;

    elsif is_tenant and is_approved then
        new.approver_id := app.caller_user();
        new.approved_at := now();

    -- The platform names the approver, and may say when. An approval that stands is not judged
    -- again, for its approver may have left the role since.
    elsif is_approved
        and (was_approved, new.approver_id, new.approved_at)
        is distinct from (true, old.approver_id, old.approved_at)
    then
        new.approved_at := coalesce(new.approved_at, now());

        if new.approved_at > clock_timestamp() then
            raise exception 'an approval is not dated in the future: %', new.approved_at
                using errcode = 'check_violation', constraint = 'guard_approval';
        end if;

        if not exists (
            select
            from public.users as u
            where u.org_id = new.org_id
                and u.id = new.approver_id
                and u.roles && '{OWNER,ADMIN}'
        ) then
            raise exception 'an approval needs an OWNER or ADMIN of the organization as approver_id'
                using errcode = 'check_violation', constraint = 'guard_approval';
        end if;
    end if;

    return new;
end
$$;
comment on function app.guard_approval() is
    'Approver and time are written and cleared together, and are true.';
revoke all on function app.guard_approval() from public;

create or replace trigger guard_approval
before insert or update on public.workflows
for each row execute function app.guard_approval();
