-- 0002_write_policies_for_shards
-- Replace the policies by ones that Citus supports.
-- depends: 0001_prepare_citus

-- On a shard, Citus creates a restrictive policy as a permissive one, without a message. It would
-- give access instead of limiting it, so tenant_isolation is dropped: each permissive policy is
-- sufficient on its own.
--
-- Citus refuses a sub-select in a policy, so the conditions call the helpers directly. PostgreSQL
-- may then call them for each row that no index excludes. A query with a literal org_id reads an
-- index, and a single shard.

-- helpers -----------------------------------------------------------------------------------------

-- Before Citus sends a write to a shard, it evaluates the policies on the coordinator, and ignores
-- the result. Reading users there is an error once the transaction has written (25001), because the
-- helper reads as another role. So on the coordinator the result is null, which equals no org_id.
create or replace function app.is_on_coordinator()
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select g.groupid from pg_dist_local_group as g) = 0
        and exists (
            select
            from pg_dist_partition as p
            where p.logicalrelid = 'public.users'::regclass
        );
end
$$;
comment on function app.is_on_coordinator() is
    'Whether this is the coordinator, and users is distributed: policies are evaluated elsewhere.';
revoke all on function app.is_on_coordinator() from public;

create or replace function app.shard_caller_org()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if app.is_on_coordinator() then
        return null;
    end if;

    return app.caller_org();
end
$$;
comment on function app.shard_caller_org() is
    'Like app.caller_org(), for the policies of shards; null on the coordinator.';
revoke all on function app.shard_caller_org() from public;
grant execute on function app.shard_caller_org() to authenticated, service_role;

create or replace function app.shard_caller_org_as(variadic wanted public.user_role[])
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if app.is_on_coordinator() then
        return null;
    end if;

    return app.caller_org_as(variadic wanted);
end
$$;
comment on function app.shard_caller_org_as(public.user_role[]) is
    'Like app.caller_org_as(), for the policies of shards; null on the coordinator.';
revoke all on function app.shard_caller_org_as(public.user_role[]) from public;
grant execute on function app.shard_caller_org_as(public.user_role[])
to authenticated, service_role;

create or replace function app.shard_caller_user()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if app.is_on_coordinator() then
        return null;
    end if;

    return app.caller_user();
end
$$;
comment on function app.shard_caller_user() is
    'Like app.caller_user(), for the policies of shards; null on the coordinator.';
revoke all on function app.shard_caller_user() from public;
grant execute on function app.shard_caller_user() to authenticated, service_role;

-- organizations -----------------------------------------------------------------------------------

drop policy if exists select_member on public.organizations;
create policy select_member on public.organizations
for select to authenticated
using (id = app.shard_caller_org());
comment on policy select_member on public.organizations is
    'A member sees their own organization.';

drop policy if exists update_owner on public.organizations;
create policy update_owner on public.organizations
for update to authenticated
using (id = app.shard_caller_org_as('OWNER'))
with check (id = app.shard_caller_org_as('OWNER'));
comment on policy update_owner on public.organizations is
    'An OWNER changes the name and settings of their organization.';

drop policy if exists tenant_isolation on public.organizations;

-- users -------------------------------------------------------------------------------------------

drop policy if exists select_member on public.users;
create policy select_member on public.users
for select to authenticated
using (org_id = app.shard_caller_org());
comment on policy select_member on public.users is
    'A member sees the users of their own organization.';

drop policy if exists insert_admin on public.users;
create policy insert_admin on public.users
for insert to authenticated
with check (
    org_id = app.shard_caller_org_as('OWNER')
    or (
        org_id = app.shard_caller_org_as('ADMIN')
        and not 'OWNER' = any (roles)
    )
);
comment on policy insert_admin on public.users is
    'An OWNER invites users with any roles, an ADMIN with any roles except OWNER.';

drop policy if exists update_member on public.users;
create policy update_member on public.users
for update to authenticated
using (
    org_id = app.shard_caller_org()
    and (
        id = app.shard_caller_user()
        or org_id = app.shard_caller_org_as('OWNER')
        or (
            org_id = app.shard_caller_org_as('ADMIN')
            and not 'OWNER' = any (roles)
        )
    )
)
with check (
    org_id = app.shard_caller_org()
    and (
        id = app.shard_caller_user()
        or org_id = app.shard_caller_org_as('OWNER')
        or (
            org_id = app.shard_caller_org_as('ADMIN')
            and not 'OWNER' = any (roles)
        )
    )
);
comment on policy update_member on public.users is
    'A member changes their own row, an ADMIN any row except an OWNER''s, an OWNER any row.';

drop policy if exists tenant_isolation on public.users;

-- projects ----------------------------------------------------------------------------------------

drop policy if exists select_member on public.projects;
create policy select_member on public.projects
for select to authenticated
using (org_id = app.shard_caller_org());
comment on policy select_member on public.projects is
    'A member sees the projects of their own organization.';

drop policy if exists insert_admin on public.projects;
create policy insert_admin on public.projects
for insert to authenticated
with check (org_id = app.shard_caller_org_as('OWNER', 'ADMIN'));
comment on policy insert_admin on public.projects is
    'An OWNER or ADMIN starts a project.';

drop policy if exists update_admin on public.projects;
create policy update_admin on public.projects
for update to authenticated
using (org_id = app.shard_caller_org_as('OWNER', 'ADMIN'))
with check (org_id = app.shard_caller_org());
comment on policy update_admin on public.projects is
    'An OWNER or ADMIN changes a project.';

drop policy if exists tenant_isolation on public.projects;

-- workflows ---------------------------------------------------------------------------------------

drop policy if exists select_member on public.workflows;
create policy select_member on public.workflows
for select to authenticated
using (org_id = app.shard_caller_org());
comment on policy select_member on public.workflows is
    'A member sees the workflows of their own organization.';

drop policy if exists insert_member on public.workflows;
create policy insert_member on public.workflows
for insert to authenticated
with check (org_id = app.shard_caller_org());
comment on policy insert_member on public.workflows is
    'A member adds an unapproved workflow to a project.';

drop policy if exists update_member on public.workflows;
create policy update_member on public.workflows
for update to authenticated
using (org_id = app.shard_caller_org())
with check (org_id = app.shard_caller_org());
comment on policy update_member on public.workflows is
    'A member changes status and metadata; only an OWNER or ADMIN approves and un-approves.';

drop policy if exists tenant_isolation on public.workflows;

-- ai_agents ---------------------------------------------------------------------------------------

drop policy if exists select_member on public.ai_agents;
create policy select_member on public.ai_agents
for select to authenticated
using (org_id = app.shard_caller_org());
comment on policy select_member on public.ai_agents is
    'A member sees the agents of their own organization.';

drop policy if exists insert_admin on public.ai_agents;
create policy insert_admin on public.ai_agents
for insert to authenticated
with check (org_id = app.shard_caller_org_as('OWNER', 'ADMIN'));
comment on policy insert_admin on public.ai_agents is
    'An OWNER or ADMIN adds an agent.';

drop policy if exists update_admin on public.ai_agents;
create policy update_admin on public.ai_agents
for update to authenticated
using (org_id = app.shard_caller_org_as('OWNER', 'ADMIN'))
with check (org_id = app.shard_caller_org());
comment on policy update_admin on public.ai_agents is
    'An OWNER or ADMIN changes an agent.';

drop policy if exists tenant_isolation on public.ai_agents;

-- audit_logs --------------------------------------------------------------------------------------

drop policy if exists select_admin on public.audit_logs;
create policy select_admin on public.audit_logs
for select to authenticated
using (org_id = app.shard_caller_org_as('OWNER', 'ADMIN'));
comment on policy select_admin on public.audit_logs is
    'An OWNER or ADMIN reads the log of their own organization.';

drop policy if exists insert_member on public.audit_logs;
create policy insert_member on public.audit_logs
for insert to authenticated
with check (
    org_id = app.shard_caller_org()
    and actor_id = app.shard_caller_user()
    and action not in ('insert', 'update', 'delete')
);
comment on policy insert_member on public.audit_logs is
    'A member records their own actions, except insert, update and delete.';

drop policy if exists tenant_isolation on public.audit_logs;
