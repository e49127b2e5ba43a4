-- 0005_create_ai_agents_and_audit_logs
-- Create the tables of AI agents and audit logs.
-- depends: 0004_create_projects_and_workflows

create table if not exists public.ai_agents (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    type text not null,
    config jsonb not null default '{}',
    performance jsonb not null default '{}',
    created_at timestamptz not null default now(),

    constraint ai_agents_pkey primary key (org_id, id),
    constraint ai_agents_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    constraint ai_agents_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint ai_agents_type_check check (app.is_name(type)),
    constraint ai_agents_config_check check (jsonb_typeof(config) = 'object'),
    constraint ai_agents_config_size_check check (pg_column_size(config) <= 1048576),
    constraint ai_agents_performance_check check (jsonb_typeof(performance) = 'object'),
    constraint ai_agents_performance_size_check check (pg_column_size(performance) <= 1048576)
);
comment on table public.ai_agents is
    'The AI agents of each organization.';
comment on column public.ai_agents.type is
    'What the agent does. Free text, because new types are more frequent than migrations.';
comment on column public.ai_agents.performance is
    'Measured results of the agent.';

create index if not exists ai_agents_org_id_created_at_id_idx
on public.ai_agents (org_id, created_at desc, id desc);

create table if not exists public.audit_logs (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    actor_id text collate "C",
    action text not null,
    meta jsonb not null default '{}',
    target_type text,
    target_id text collate "C",
    -- clock_timestamp(), not now(), so that rows of one transaction keep their order.
    created_at timestamptz not null default clock_timestamp(),

    constraint audit_logs_pkey primary key (org_id, id),
    constraint audit_logs_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    constraint audit_logs_org_id_actor_id_fkey foreign key (org_id, actor_id)
    references public.users (org_id, id),
    constraint audit_logs_id_check check (id ~ '^c[a-z0-9]{24}$'),
    -- Lower case only, so that no spelling of "insert" looks like a row written by the database.
    constraint audit_logs_action_check check (action ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
    constraint audit_logs_target_type_check check (octet_length(target_type) <= 1000),
    constraint audit_logs_target_id_check check (octet_length(target_id) <= 1000),
    constraint audit_logs_meta_check check (jsonb_typeof(meta) = 'object'),
    constraint audit_logs_meta_size_check check (pg_column_size(meta) <= 65536)
);
comment on table public.audit_logs is
    'The audit log of each organization. Append-only; no foreign key references it.';
comment on column public.audit_logs.actor_id is
    'The user who acted; null for the platform and for callers outside the organization.';
comment on column public.audit_logs.action is
    'insert, update and delete are written by the database; other values by the application.';
comment on column public.audit_logs.meta is
    'For an update, {"columns": [...]}: the names of changed columns, never their values.';
comment on column public.audit_logs.target_type is
    'The table, or a type named by the application; null if the action has no target.';

create index if not exists audit_logs_org_id_created_at_id_idx
on public.audit_logs (org_id, created_at desc, id desc);

create index if not exists audit_logs_org_id_actor_id_idx
on public.audit_logs (org_id, actor_id)
where actor_id is not null;
