-- 0009_enable_row_level_security
-- Who may do what, in their own organization; everything that is not written here is refused.
-- depends: 0008_record_audit

-- How to read this page. Per table: the grants, which name every column a tenant may write; then
-- one permissive policy per command, right on its own; then tenant_isolation, a second lock that
-- holds even where a later policy is written too wide.
--
-- A condition is always "org_id = (select app.helper(...))": asked once per statement, and answered
-- by an index on org_id. Written with "in", "exists" or per row, it reads every tenant's rows.
--
-- Not granted anywhere to authenticated, and why:
--   DELETE                    what was acted on stays: projects are archived, users are unlinked
--   UPDATE, table-wide        would allow LOCK TABLE, and every column added later
--   TRUNCATE                  is not held by row-level security
--   TRIGGER, REFERENCES       would plant code that others run, and tell whether a row exists
--   id, created_at            are the database's own, as is updated_at
-- anon is granted nothing at all.
--
-- By hand on a live database: psql -1 -f. Statement by statement it is as safe, but for a moment
-- between revoke and grant, or drop and create, it refuses what it should allow.

-- FORCE exactly where the owner passes anyway (superuser, BYPASSRLS): then nothing depends on it.
-- A plain owner must not be forced: the helpers run as the owner, and would see no users.
do $$
declare
    fenced record;
begin
    for fenced in
        select
            tenant.oid::regclass as name,
            tenant.relrowsecurity as is_enabled,
            tenant.relforcerowsecurity as is_forced,
            owner.rolsuper or owner.rolbypassrls as should_be_forced
        from pg_class as tenant
        inner join pg_roles as owner on owner.oid = tenant.relowner
        where tenant.oid in (
            'public.organizations'::regclass,
            'public.users'::regclass,
            'public.projects'::regclass,
            'public.workflows'::regclass,
            'public.ai_agents'::regclass,
            'public.audit_logs'::regclass
        )
    loop
        if not fenced.is_enabled then
            execute format('alter table %s enable row level security', fenced.name);
        end if;

        if fenced.should_be_forced and not fenced.is_forced then
            execute format('alter table %s force row level security', fenced.name);
        elsif fenced.is_forced and not fenced.should_be_forced then
            execute format('alter table %s no force row level security', fenced.name);
        end if;
    end loop;
end
$$;

-- organizations -----------------------------------------------------------------------------------
-- Not granted: INSERT, for signing up is the platform's; billing_plan and limits, which are paid.

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
    'An OWNER changes its name and settings.';

drop policy if exists tenant_isolation on public.organizations;
create policy tenant_isolation on public.organizations
as restrictive for all to authenticated
using (id = (select app.caller_org()))
with check (id = (select app.caller_org()));
comment on policy tenant_isolation on public.organizations is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.organizations;
create policy all_service_role on public.organizations
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.organizations is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';

-- users -------------------------------------------------------------------------------------------
-- Not granted: auth_user_id, for whoever writes it chooses who signs in; email, once written.
-- Which roles may become which is judged by guard_roles: a policy sees only one side of a change.

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
    'A member sees the people of their own organization.';

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
    'An OWNER invites with any roles, an ADMIN with any but OWNER.';

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
    'Everybody changes themselves, an ADMIN whoever is not OWNER, an OWNER everybody.';

drop policy if exists tenant_isolation on public.users;
create policy tenant_isolation on public.users
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.users is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.users;
create policy all_service_role on public.users
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.users is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';

-- projects ----------------------------------------------------------------------------------------
-- Not granted: org_id, once written; a project does not change hands.

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
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy update_admin on public.projects is
    'An OWNER or ADMIN changes a project.';

drop policy if exists tenant_isolation on public.projects;
create policy tenant_isolation on public.projects
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.projects is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.projects;
create policy all_service_role on public.projects
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.projects is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';

-- workflows ---------------------------------------------------------------------------------------
-- Not granted: approver_id and approved_at, for the database writes who approved and when;
-- project_id and gate, once written.
-- Who may set or leave the status 'approved' is judged by guard_approval.

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
    'A member brings a project to a gate, unapproved.';

drop policy if exists update_member on public.workflows;
create policy update_member on public.workflows
for update to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy update_member on public.workflows is
    'A member moves it along, short of approval; an OWNER or ADMIN approves and un-approves.';

drop policy if exists tenant_isolation on public.workflows;
create policy tenant_isolation on public.workflows
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.workflows is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.workflows;
create policy all_service_role on public.workflows
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.workflows is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';

-- ai_agents ---------------------------------------------------------------------------------------
-- Not granted: org_id, once written; an agent does not change employers.

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
    'An OWNER or ADMIN employs an agent.';

drop policy if exists update_admin on public.ai_agents;
create policy update_admin on public.ai_agents
for update to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy update_admin on public.ai_agents is
    'An OWNER or ADMIN changes an agent.';

drop policy if exists tenant_isolation on public.ai_agents;
create policy tenant_isolation on public.ai_agents
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.ai_agents is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.ai_agents;
create policy all_service_role on public.ai_agents
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.ai_agents is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';

-- audit_logs --------------------------------------------------------------------------------------
-- Not granted: UPDATE and DELETE, to nobody, service_role included; what happened has happened.

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
    'A member writes down what they did themselves, never in the words of record_audit.';

drop policy if exists tenant_isolation on public.audit_logs;
create policy tenant_isolation on public.audit_logs
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.audit_logs is
    'Second lock: nothing outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.audit_logs;
create policy all_service_role on public.audit_logs
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.audit_logs is
    'The platform''s back end crosses tenants, also where its role cannot have BYPASSRLS.';
