-- 0004_create_projects_and_workflows
-- Create the tables of projects and their workflows.
-- depends: 0003_create_organizations_and_users

-- A status is text with a check, not an enum: enum comparison is not leakproof, so under row-level
-- security a filter on an enum could not use an index.
create table if not exists public.projects (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    name text not null,
    status text not null default 'draft',
    config jsonb not null default '{}',
    description text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    constraint projects_pkey primary key (org_id, id),
    constraint projects_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    constraint projects_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint projects_name_check check (app.is_name(name)),
    constraint projects_description_check check (octet_length(description) <= 100000),
    constraint projects_status_check check (status in ('draft', 'active', 'paused', 'archived')),
    constraint projects_config_check check (jsonb_typeof(config) = 'object'),
    constraint projects_config_size_check check (pg_column_size(config) <= 1048576)
);
comment on table public.projects is
    'A product blueprint of an organization.';

create index if not exists projects_org_id_created_at_id_idx
on public.projects (org_id, created_at desc, id desc);

create table if not exists public.workflows (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    project_id text collate "C" not null,
    gate public.workflow_gate not null,
    status text not null default 'pending',
    metadata jsonb not null default '{}',
    approver_id text collate "C",
    approved_at timestamptz,

    constraint workflows_pkey primary key (org_id, id),
    constraint workflows_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    constraint workflows_org_id_project_id_fkey foreign key (org_id, project_id)
    references public.projects (org_id, id),
    constraint workflows_org_id_approver_id_fkey foreign key (org_id, approver_id)
    references public.users (org_id, id),
    constraint workflows_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint workflows_status_check check (
        status in ('pending', 'in_review', 'approved', 'rejected')
    ),
    constraint workflows_metadata_check check (jsonb_typeof(metadata) = 'object'),
    constraint workflows_metadata_size_check check (pg_column_size(metadata) <= 1048576),
    -- An approved workflow has an approver and a time; any other workflow has neither.
    constraint workflows_approval_check check (
        num_nonnulls(approver_id, approved_at) = case status when 'approved' then 2 else 0 end
    )
);
comment on table public.workflows is
    'A project at one gate. Approved workflows cannot change until un-approved.';
comment on column public.workflows.org_id is
    'The organization of the project, enforced by the foreign key.';
comment on column public.workflows.approver_id is
    'The OWNER or ADMIN who approved. Written by the database, never by a tenant.';

-- For lookups by project and gate. With org_id, an index scan reads the rows of one tenant only.
create index if not exists workflows_project_id_gate_org_id_idx
on public.workflows (project_id, gate, org_id);

-- For the two foreign keys above, when a referenced row is changed or deleted.
create index if not exists workflows_org_id_project_id_idx
on public.workflows (org_id, project_id);

create index if not exists workflows_org_id_approver_id_idx
on public.workflows (org_id, approver_id)
where approver_id is not null;
