-- 0001_create_notes
-- An example: tenants, and notes that belong to one each. The application names the tenant of a request.

-- Roles are shared by the databases of a server: another one may be creating it at the same time.
do $$
begin
    if to_regrole('app_user') is null then
        create role app_user nologin noinherit;
    end if;
exception
    when duplicate_object or unique_violation then
        null;
end
$$;

create table if not exists public.tenants (
    id uuid not null default gen_random_uuid(),
    name text not null,
    constraint tenants_pkey primary key (id)
);
comment on table public.tenants is 'The customers. Only an administrator creates them.';

create table if not exists public.notes (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    body text not null,
    created_at timestamptz not null default now(),
    constraint notes_pkey primary key (tenant_id, id),
    constraint notes_tenant_id_fkey foreign key (tenant_id) references public.tenants (id)
);
comment on table public.notes is 'What a tenant wrote down.';

-- For each request, in its transaction: set local role app_user; set local app.tenant = 'ID';
alter table public.tenants enable row level security;
grant select on public.tenants to app_user;
drop policy if exists select_own on public.tenants;
create policy select_own on public.tenants
for select to app_user
using (id = nullif(current_setting('app.tenant', true), '')::uuid);

alter table public.notes enable row level security;
grant select, insert (tenant_id, body), update (body), delete on public.notes to app_user;
drop policy if exists all_own on public.notes;
create policy all_own on public.notes
for all to app_user
using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
