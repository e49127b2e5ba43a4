-- 0000_create_new_things
-- Create the table of new things, readable and writable within an organization.

-- Remove project_id with its constraint, index and grant if a row belongs to no project.
create table if not exists public.new_things (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    project_id text collate "C" not null,
    name text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    constraint new_things_pkey primary key (org_id, id),
    constraint new_things_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    constraint new_things_org_id_project_id_fkey foreign key (org_id, project_id)
    references public.projects (org_id, id),
    constraint new_things_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint new_things_name_check check (name ~ '\S')
);
comment on table public.new_things is
    'The new things of an organization.';
comment on column public.new_things.org_id is
    'The organization of the project, enforced by the foreign key.';

create index if not exists new_things_org_id_created_at_id_idx
on public.new_things (org_id, created_at desc, id desc);

-- For the foreign key above, when a project is changed or deleted.
create index if not exists new_things_org_id_project_id_idx
on public.new_things (org_id, project_id);

create or replace trigger touch_updated_at
before update on public.new_things
for each row execute function app.touch_updated_at();

create or replace trigger record_insert
after insert on public.new_things
referencing new table as new_rows
for each statement execute function app.record_insert('new_things');

create or replace trigger record_audit
after update or delete on public.new_things
for each row execute function app.record_audit('new_things');

-- FORCE only where the owner bypasses row-level security anyway (superuser, BYPASSRLS). A plain
-- owner must not be forced, because the policy helpers run as the owner.
do $$
declare
    new_table record;
begin
    select
        rel.oid::regclass as name,
        rel.relrowsecurity as is_enabled,
        rel.relforcerowsecurity as is_forced,
        owner.rolsuper or owner.rolbypassrls as should_be_forced
    into new_table
    from pg_class as rel
    inner join pg_roles as owner on owner.oid = rel.relowner
    where rel.oid = 'public.new_things'::regclass;

    if not new_table.is_enabled then
        execute format('alter table %s enable row level security', new_table.name);
    end if;

    if new_table.should_be_forced and not new_table.is_forced then
        execute format('alter table %s force row level security', new_table.name);
    elsif new_table.is_forced and not new_table.should_be_forced then
        execute format('alter table %s no force row level security', new_table.name);
    end if;
end
$$;

-- Not granted to authenticated: DELETE, because rows are kept; id, created_at and updated_at,
-- because the database sets them; updates of org_id and project_id, because a row cannot move;
-- UPDATE and INSERT of the whole table, which would include columns added later.
-- anon is granted nothing.

revoke all on public.new_things from public, anon, authenticated, service_role;
grant select on public.new_things to authenticated;
grant insert (org_id, project_id, name) on public.new_things to authenticated;
grant update (name) on public.new_things to authenticated;
grant select, insert, update, delete on public.new_things to service_role;

drop policy if exists select_member on public.new_things;
create policy select_member on public.new_things
for select to authenticated
using (org_id = (select app.caller_org()));
comment on policy select_member on public.new_things is
    'A member sees the new things of their own organization.';

drop policy if exists insert_admin on public.new_things;
create policy insert_admin on public.new_things
for insert to authenticated
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy insert_admin on public.new_things is
    'An OWNER or ADMIN adds new things.';

drop policy if exists update_admin on public.new_things;
create policy update_admin on public.new_things
for update to authenticated
using (org_id = (select app.caller_org_as('OWNER', 'ADMIN')))
with check (org_id = (select app.caller_org_as('OWNER', 'ADMIN')));
comment on policy update_admin on public.new_things is
    'An OWNER or ADMIN changes new things.';

drop policy if exists tenant_isolation on public.new_things;
create policy tenant_isolation on public.new_things
as restrictive for all to authenticated
using (org_id = (select app.caller_org()))
with check (org_id = (select app.caller_org()));
comment on policy tenant_isolation on public.new_things is
    'Defense in depth: no access outside the caller''s organization, whatever other policies say.';

drop policy if exists all_service_role on public.new_things;
create policy all_service_role on public.new_things
for all to service_role
using (true)
with check (true);
comment on policy all_service_role on public.new_things is
    'The platform''s back end accesses every tenant, even if its role cannot have BYPASSRLS.';
