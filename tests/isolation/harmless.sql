-- Changes of sql/ that open nothing: once declared, verify finds no breach.
--
-- `-- declared:` lines belong to sections of isolation.toml; `verify --accept` writes the lock.

-- harmless: indexes that no tenant can learn from: of another method, or of some rows
create index projects_config_idx on public.projects using gin (config);
create index audit_logs_created_at_idx on public.audit_logs using brin (created_at);
create index projects_active_idx on public.projects (created_at) where status = 'active';
create index workflows_project_id_hash_idx on public.workflows using hash (project_id);

-- harmless: an index with further columns
create index projects_org_id_name_idx on public.projects (org_id, lower(name)) include (status);

-- harmless: functions that run as their caller, with a fixed search path of any form
create function public.slug(name text) returns text language sql immutable set search_path = ''
as $$ select pg_catalog.lower(name) $$;
create function public.own_projects() returns bigint language sql stable
set search_path = pg_catalog, public, pg_temp as $$ select count(*) from projects $$;
create function app.initials(name text) returns text language plpgsql immutable
set search_path = pg_catalog as $$ begin return left(name, 1); end $$;
revoke execute on function public.slug(text), public.own_projects(), app.initials(text) from public;
grant execute on function public.slug(text), public.own_projects() to authenticated, service_role;

-- harmless: a trigger that runs as its caller
create function app.trim_name() returns trigger language plpgsql set search_path = '' as $$
begin new.name := pg_catalog.btrim(new.name); return new; end $$;
revoke execute on function app.trim_name() from public;
create trigger a_trim_name before insert or update on public.projects
for each row execute function app.trim_name();

-- harmless: SELECT of some columns only
-- declared: [rights.users] select = { "OWNER ADMIN MEMBER" = ["org_id", "id", "email", "name", "roles", "created_at", "updated_at"], service_role = true }
revoke select on public.users from authenticated;
grant select (org_id, id, email, name, roles, created_at, updated_at) on public.users to authenticated;

-- harmless: SELECT without the tenant column
-- declared: [rights.ai_agents] select = { "OWNER ADMIN MEMBER" = ["id", "type", "config"], service_role = true }
revoke select on public.ai_agents from authenticated;
grant select (id, type, config) on public.ai_agents to authenticated;

-- harmless: a right that is taken away
-- declared: [rights.projects] insert = "service_role"
drop policy insert_admin on public.projects;
revoke insert (org_id, name, description, status, config) on public.projects from authenticated;

-- harmless: more restrictive policies, with and without WITH CHECK
create policy active_only on public.projects as restrictive for all to authenticated
using (status is not null);
create policy named on public.ai_agents as restrictive for update to authenticated
using (type <> '');
create policy member_only on public.projects as restrictive for select to authenticated
using ((select app.caller_user()) is not null);

-- harmless: a restrictive policy that reads another table
create policy not_suspended on public.projects as restrictive for all to authenticated
using (not exists (
    select from public.organizations as o where o.id = org_id and o.settings ? 'suspended'
));

-- harmless: a policy without WITH CHECK, where USING is the check too
drop policy update_admin on public.projects;
create policy update_admin on public.projects for update to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));

-- harmless: a second, narrower policy
create policy select_active on public.projects for select to authenticated
using (org_id = (select app.caller_org()) and status = 'active');

-- harmless: the same condition in another form
alter policy select_member on public.ai_agents using ((select app.caller_org()) = org_id);
alter policy select_member on public.projects
using (org_id is not null and (select app.caller_org()) = org_id);

-- harmless: objects of the platform in app
-- declared: [tenant] shared = ["app.jobs"]
-- declared: [rights."app.usage"] select = "service_role"
-- declared: [rights."app.jobs"] select = "service_role"
-- declared: [rights."app.jobs"] insert = "service_role"
-- declared: [rights."app.jobs"] delete = "service_role"
create sequence app.invoice_number;
grant usage on sequence app.invoice_number to service_role;
create materialized view app.usage as
select org_id, count(*) as projects from public.projects group by org_id;
grant select on app.usage to service_role;
create table app.jobs (id bigint generated always as identity primary key, payload jsonb);
grant select, insert, delete on app.jobs to service_role;

-- harmless: a lookup table that all tenants read
-- declared: [tenant] shared = ["public.countries"]
-- declared: [rights.countries] select = "OWNER ADMIN MEMBER stranger unlinked service_role"
create table public.countries (code text primary key, name text not null unique);
insert into public.countries values ('at', 'Austria'), ('ch', 'Switzerland');
alter table public.countries enable row level security;
create policy select_all on public.countries for select to authenticated, service_role using (true);
revoke all on public.countries from public, anon, authenticated, service_role;
grant select on public.countries to authenticated, service_role;

-- harmless: a tenant's table without audit, with keys and actions of its own
-- declared: [rights.labels] select = "OWNER ADMIN MEMBER service_role"
-- declared: [rights.labels] insert = { "OWNER ADMIN" = ["org_id", "project_id", "name"], service_role = true }
-- declared: [rights.labels] update = { "OWNER ADMIN" = ["name"], service_role = true }
-- declared: [rights.labels] delete = "OWNER ADMIN service_role"
create table public.labels (
    org_id text collate "C" not null references public.organizations (id) on delete restrict,
    id uuid not null default gen_random_uuid(),
    project_id text collate "C" not null,
    name text not null,
    primary key (id, org_id),
    foreign key (org_id, project_id) references public.projects (org_id, id) on delete cascade,
    unique (org_id, name)
);
alter table public.labels enable row level security, force row level security;
revoke all on public.labels from public, anon, authenticated, service_role;
grant select, delete, insert (org_id, project_id, name), update (name) on public.labels
to authenticated;
grant select, insert, update, delete on public.labels to service_role;
create policy read on public.labels for select to authenticated
using (org_id = (select app.caller_org()));
create policy write on public.labels to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
create policy all_service_role on public.labels to service_role using (true);
create policy tenant_isolation on public.labels as restrictive to authenticated
using ((select app.caller_org()) = org_id);

-- harmless: a partitioned table of a tenant, which only members read
-- declared: [rights.events] select = "OWNER ADMIN MEMBER service_role"
-- declared: [rights.events] insert = "service_role"
create table public.events (
    org_id text collate "C" not null references public.organizations (id) on delete cascade,
    at timestamptz not null default now(),
    kind text not null,
    primary key (org_id, at, kind)
) partition by range (at);
create table public.events_all partition of public.events default;
alter table public.events enable row level security, force row level security;
alter table public.events_all enable row level security, force row level security;
revoke all on public.events, public.events_all from public, anon, authenticated, service_role;
grant select on public.events to authenticated;
grant select, insert on public.events to service_role;
create policy read on public.events for select to authenticated
using (org_id = (select app.caller_org()));
create policy tenant_isolation on public.events as restrictive to authenticated
using (org_id = (select app.caller_org()));
create policy all_service_role on public.events to service_role using (true) with check (true);

-- harmless: tables of the platform, with and without a tenant
-- declared: [rights.billing_runs] select = "service_role"
-- declared: [rights.billing_runs] insert = "service_role"
-- declared: [rights.invoices] select = "service_role"
-- declared: [rights.invoices] insert = "service_role"
-- declared: [tenant] shared = ["public.billing_runs"]
create table public.billing_runs (id bigint generated always as identity primary key, note text);
create table public.invoices (
    id bigint generated always as identity primary key,
    org_id text not null references public.organizations (id) on delete restrict,
    cents bigint not null
);
alter table public.billing_runs enable row level security, force row level security;
alter table public.invoices enable row level security, force row level security;
revoke all on public.billing_runs, public.invoices from public, anon, authenticated, service_role;
grant select, insert on public.billing_runs, public.invoices to service_role;
create policy all_service_role on public.billing_runs to service_role using (true);
create policy all_service_role on public.invoices to service_role using (true);

-- harmless: generated columns, stored ones and with a default
alter table public.projects
add column search text generated always as (lower(name)) stored,
add column color text not null default 'blue';
alter table public.ai_agents add column kind text generated always as (upper(type)) stored;

-- harmless: a view that runs as its caller
-- declared: [rights.active_projects] select = "OWNER ADMIN MEMBER service_role"
create view public.active_projects with (security_invoker = true) as
select org_id, id, name from public.projects where status = 'active';
revoke all on public.active_projects from public, anon, authenticated, service_role;
grant select on public.active_projects to authenticated, service_role;

-- harmless: a table that no role may use, and another trigger of ours
create table public.imports (id int primary key, raw jsonb);
revoke all on public.imports from public, anon, authenticated, service_role;
alter table public.imports enable row level security;
