-- 0009_enable_row_level_security
-- Enable row-level security, and limit tenants to granted access within their own organization.
-- depends: 0008_record_audit

-- For each table: the grants, which list every column that a tenant may write; one permissive
-- policy per command, sufficient on its own; then the restrictive policy tenant_isolation, which
-- limits access even if a permissive policy added later is too broad.
--
-- A condition always has the form "org_id = (select app.helper(...))", which is evaluated once per
-- statement and can use an index on org_id. With "in", "exists" or a call per row, a query would
-- read the rows of every tenant. The role is asked once, by the condition that finds the row. An
-- update that no column grant lets change org_id is checked by app.caller_org() alone: PostgreSQL
-- asks that question once for this policy and the one for select.
--
-- Never granted to authenticated, and why:
--   DELETE                    rows are kept: projects are archived, users are unlinked
--   UPDATE, table-wide        would allow LOCK TABLE, and updates of columns added later
--   TRUNCATE                  is not restricted by row-level security
--   TRIGGER, REFERENCES       would run a tenant's code as other roles, or reveal that a row exists
--   id, created_at            are set by the database, as is updated_at
-- anon is granted nothing.
--
-- To run this file by hand on a live database, use psql -1 -f. Without a single transaction it is
-- just as safe, but briefly denies valid access between revoke and grant, or drop and create.

-- FORCE only where the owner bypasses row-level security anyway (superuser, BYPASSRLS), so that no
-- access depends on it. A plain owner must not be forced: the helpers run as the owner, and would
-- see no users.
do $$
declare
    tenant_table record;
begin
    for tenant_table in
        select
            rel.oid::regclass as name,
            rel.relrowsecurity as is_enabled,
            rel.relforcerowsecurity as is_forced,
            owner.rolsuper or owner.rolbypassrls as should_be_forced
        from pg_class as rel
        inner join pg_roles as owner on owner.oid = rel.relowner
        where rel.oid in (
            'public.organizations'::regclass,
            'public.users'::regclass,
            'public.projects'::regclass,
            'public.workflows'::regclass,
            'public.ai_agents'::regclass,
            'public.audit_logs'::regclass
        )
    loop
        if not tenant_table.is_enabled then
            execute format('alter table %s enable row level security', tenant_table.name);
        end if;

        if tenant_table.should_be_forced and not tenant_table.is_forced then
            execute format('alter table %s force row level security', tenant_table.name);
        elsif tenant_table.is_forced and not tenant_table.should_be_forced then
            execute format('alter table %s no force row level security', tenant_table.name);
        end if;
    end loop;
end
$$;

-- organizations -----------------------------------------------------------------------------------
-- Not granted: INSERT, because the platform signs up organizations; billing_plan and limits,
-- because they are paid for.

revoke all on public.organizations from public, anon, authenticated, service_role;
grant select on public.organizations to authenticated;
grant update (name, settings) on public.organizations to authenticated;
grant select, insert, update, delete on public.organizations to service_role;

drop policy if exists select_member on public.organizations;
create policy select_member on public.organizations
for select to authenticated
using (id = (select app.caller_org()));
comment on policy select_member on public.organizations is
    'A member sees their own organization.';

drop policy if exists update_owner on public.organizations;
create policy update_owner on public.organizations
for update to authenticated
using (id = (select app.caller_org_as('OWNER')))
with check (id = (select app.caller_org_as('OWNER')));
comment on policy update_owner on public.organizations is
    'An OWNER changes the name and settings of their organization.';

drop policy if exists tenant_isolation on public.organizations;
create policy tenant_isolation on public.organizations
as restrictive for all to authenticated
using (id = (select app.caller_org()))
with check (id = (select app.caller_org()));
comment on policy tenant_isolation on public.organizations is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.organizations;
create policy all_service_role on public.organizations
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.organizations is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';

-- users -------------------------------------------------------------------------------------------
-- Not granted: auth_user_id, because it decides which account signs in as the user; updates of
-- email. guard_roles checks role changes, because a policy cannot compare old and new row.

revoke all on public.users from public, anon, authenticated, service_role;
grant select on public.users to authenticated;
grant insert (org_id, email, name, roles) on public.users to authenticated;
grant update (name, roles) on public.users to authenticated;
grant select, insert, update, delete on public.users to service_role;

drop policy if exists select_member on public.users;
create policy select_member on public.users
for select to authenticated
using (org_id = (select app.caller_org()));
comment on policy select_member on public.users is
    'A member sees the users of their own organization.';

drop policy if exists insert_admin on public.users;
create policy insert_admin on public.users
for insert to authenticated
with check (
    org_id = (select app.caller_org_as('OWNER'))
    or (
        org_id = (select app.caller_org_as('ADMIN'))
        and not 'OWNER' = any (roles)
    )
);
comment on policy insert_admin on public.users is
    'An OWNER invites users with any roles, an ADMIN with any roles except OWNER.';

drop policy if exists update_member on public.users;
create policy update_member on public.users
for update to authenticated
using (
    org_id = (select app.caller_org())
    and (
        id = (select app.caller_user())
        or org_id = (select app.caller_org_as('OWNER'))
        or (
            org_id = (select app.caller_org_as('ADMIN'))
            and not 'OWNER' = any (roles)
        )
    )
)
with check (
    org_id = (select app.caller_org())
    and (
        id = (select app.caller_user())
        or org_id = (select app.caller_org_as('OWNER'))
        or (
            org_id = (select app.caller_org_as('ADMIN'))
            and not 'OWNER' = any (roles)
        )
    )
);
comment on policy update_member on public.users is
    'A member changes their own row, an ADMIN any row except an OWNER''s, an OWNER any row.';

drop policy if exists tenant_isolation on public.users;
create policy tenant_isolation on public.users
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.users is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.users;
create policy all_service_role on public.users
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.users is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';

-- projects ----------------------------------------------------------------------------------------
-- Not granted: updates of org_id, because a project cannot move to another organization.

revoke all on public.projects from public, anon, authenticated, service_role;
grant select on public.projects to authenticated;
grant insert (org_id, name, status, config, description) on public.projects to authenticated;
grant update (name, status, config, description) on public.projects to authenticated;
grant select, insert, update, delete on public.projects to service_role;

drop policy if exists select_member on public.projects;
create policy select_member on public.projects
for select to authenticated
using (org_id = (select app.caller_org()));
comment on policy select_member on public.projects is
    'A member sees the projects of their own organization.';

drop policy if exists insert_admin on public.projects;
create policy insert_admin on public.projects
for insert to authenticated
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy insert_admin on public.projects is
    'An OWNER or ADMIN starts a project.';

drop policy if exists update_admin on public.projects;
create policy update_admin on public.projects
for update to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))
with check (org_id = (select app.caller_org()));
comment on policy update_admin on public.projects is
    'An OWNER or ADMIN changes a project.';

drop policy if exists tenant_isolation on public.projects;
create policy tenant_isolation on public.projects
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.projects is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.projects;
create policy all_service_role on public.projects
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.projects is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';

-- workflows ---------------------------------------------------------------------------------------
-- Not granted: approver_id and approved_at, because the database sets them; updates of project_id
-- and gate. guard_approval checks who may approve and un-approve.

revoke all on public.workflows from public, anon, authenticated, service_role;
grant select on public.workflows to authenticated;
grant insert (org_id, project_id, gate, status, metadata) on public.workflows to authenticated;
grant update (status, metadata) on public.workflows to authenticated;
grant select, insert, update, delete on public.workflows to service_role;

drop policy if exists select_member on public.workflows;
create policy select_member on public.workflows
for select to authenticated
using (org_id = (select app.caller_org()));
comment on policy select_member on public.workflows is
    'A member sees the workflows of their own organization.';

drop policy if exists insert_member on public.workflows;
create policy insert_member on public.workflows
for insert to authenticated
with check (org_id = (select app.caller_org()));
comment on policy insert_member on public.workflows is
    'A member adds an unapproved workflow to a project.';

drop policy if exists update_member on public.workflows;
create policy update_member on public.workflows
for update to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy update_member on public.workflows is
    'A member changes status and metadata; only an OWNER or ADMIN approves and un-approves.';

drop policy if exists tenant_isolation on public.workflows;
create policy tenant_isolation on public.workflows
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.workflows is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.workflows;
create policy all_service_role on public.workflows
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.workflows is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';

-- ai_agents ---------------------------------------------------------------------------------------
-- Not granted: updates of org_id, because an agent cannot move to another organization.

revoke all on public.ai_agents from public, anon, authenticated, service_role;
grant select on public.ai_agents to authenticated;
grant insert (org_id, type, config, performance) on public.ai_agents to authenticated;
grant update (type, config, performance) on public.ai_agents to authenticated;
grant select, insert, update, delete on public.ai_agents to service_role;

drop policy if exists select_member on public.ai_agents;
create policy select_member on public.ai_agents
for select to authenticated
using (org_id = (select app.caller_org()));
comment on policy select_member on public.ai_agents is
    'A member sees the agents of their own organization.';

drop policy if exists insert_admin on public.ai_agents;
create policy insert_admin on public.ai_agents
for insert to authenticated
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy insert_admin on public.ai_agents is
    'An OWNER or ADMIN adds an agent.';

drop policy if exists update_admin on public.ai_agents;
create policy update_admin on public.ai_agents
for update to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))
with check (org_id = (select app.caller_org()));
comment on policy update_admin on public.ai_agents is
    'An OWNER or ADMIN changes an agent.';

drop policy if exists tenant_isolation on public.ai_agents;
create policy tenant_isolation on public.ai_agents
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.ai_agents is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.ai_agents;
create policy all_service_role on public.ai_agents
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.ai_agents is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';

-- audit_logs --------------------------------------------------------------------------------------
-- Not granted to any role, not even service_role: UPDATE and DELETE; the log is append-only.

revoke all on public.audit_logs from public, anon, authenticated, service_role;
grant select on public.audit_logs to authenticated;
grant insert (org_id, actor_id, action, target_type, target_id, meta)
on public.audit_logs to authenticated;
grant select, insert on public.audit_logs to service_role;

drop policy if exists select_admin on public.audit_logs;
create policy select_admin on public.audit_logs
for select to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy select_admin on public.audit_logs is
    'An OWNER or ADMIN reads the log of their own organization.';

drop policy if exists insert_member on public.audit_logs;
create policy insert_member on public.audit_logs
for insert to authenticated
with check (
    org_id = (select app.caller_org())
    and actor_id = (select app.caller_user())
    and action not in ('insert', 'update', 'delete')
);
comment on policy insert_member on public.audit_logs is
    'A member records their own actions, except insert, update and delete.';

drop policy if exists tenant_isolation on public.audit_logs;
create policy tenant_isolation on public.audit_logs
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.audit_logs is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.audit_logs;
create policy all_service_role on public.audit_logs
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.audit_logs is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';
