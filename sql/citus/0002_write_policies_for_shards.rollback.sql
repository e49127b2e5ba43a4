-- 0002_write_policies_for_shards: rollback
-- Create the policies of 0009_enable_row_level_security again, the restrictive ones among them.

-- organizations -----------------------------------------------------------------------------------

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

-- users -------------------------------------------------------------------------------------------

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

-- projects ----------------------------------------------------------------------------------------

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

-- workflows ---------------------------------------------------------------------------------------

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

-- ai_agents ---------------------------------------------------------------------------------------

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

-- audit_logs --------------------------------------------------------------------------------------

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

drop function if exists app.shard_caller_user();
drop function if exists app.shard_caller_org_as(public.user_role[]);
drop function if exists app.shard_caller_org();
drop function if exists app.is_on_coordinator();
