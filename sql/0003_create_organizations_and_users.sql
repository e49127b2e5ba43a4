-- 0003_create_organizations_and_users
-- Create the tables of tenants and their users.
-- depends: 0002_create_types_and_ids

-- JSON is limited by its size in binary form, which is known without reading it: 1 MiB.
create table if not exists public.organizations (
    id text collate "C" not null default app.new_id(),
    name text not null,
    billing_plan public.billing_plan not null default 'FREE',
    settings jsonb not null default '{}',
    limits jsonb not null default '{}',
    created_at timestamptz not null default now(),

    constraint organizations_pkey primary key (id),
    constraint organizations_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint organizations_name_check check (app.is_name(name)),
    constraint organizations_settings_check check (jsonb_typeof(settings) = 'object'),
    constraint organizations_settings_size_check check (pg_column_size(settings) <= 1048576),
    constraint organizations_limits_check check (jsonb_typeof(limits) = 'object'),
    constraint organizations_limits_size_check check (pg_column_size(limits) <= 1048576)
);
comment on table public.organizations is
    'One row per tenant. Its id is the org_id in every other table.';
comment on column public.organizations.settings is
    'Settings of the organization; written by its OWNER.';
comment on column public.organizations.limits is
    'Limits set by the platform; written by service_role only.';

create index if not exists organizations_created_at_id_idx
on public.organizations (created_at desc, id desc);

-- The primary key is (org_id, id) here and in every later table: no unique index reveals to a
-- tenant that an id exists in another one, no foreign key can cross organizations, and rows can be
-- sharded by org_id.
create table if not exists public.users (
    org_id text collate "C" not null,
    id text collate "C" not null default app.new_id(),
    email text not null,
    name text not null,
    roles public.user_role[] not null default '{MEMBER}',
    auth_user_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    constraint users_pkey primary key (org_id, id),
    -- Deferrable in every table, because removing an organization deletes its own row first.
    constraint users_org_id_fkey foreign key (org_id)
    references public.organizations (id) deferrable initially immediate,
    -- Unique on the whole platform, so without org_id: such an index would be read before the
    -- policies apply. A hash index has no ranges and no order, and neither expression is leakproof,
    -- so no plan of a tenant uses these two.
    constraint users_email_key exclude using hash (lower(email) with =),
    constraint users_auth_user_id_key exclude using hash ((auth_user_id::text) with =),
    constraint users_id_check check (id ~ '^c[a-z0-9]{24}$'),
    constraint users_email_check check (
        octet_length(email) <= 320
        and email = lower(normalize(email, nfkc))
        and email ~ '^[^@\s\u1680\u2800\ufe00-\ufe0f]+@[^@\s\u1680\u2800\ufe00-\ufe0f]+$'
        and app.is_name(email)
    ),
    constraint users_name_check check (app.is_name(name)),
    -- A flat array of one to three distinct roles: its length is the number of roles found.
    constraint users_roles_check check (
        coalesce(array_ndims(roles), 0) = 1
        and array_lower(roles, 1) = 1
        and num_nulls(variadic roles) = 0
        and cardinality(roles)
        = ('OWNER' = any (roles))::int
        + ('ADMIN' = any (roles))::int
        + ('MEMBER' = any (roles))::int
    )
);
comment on table public.users is
    'The users of each organization. Those who have acted are unlinked or renamed, never deleted.';
comment on column public.users.email is
    'In lower case and Unicode''s form KC; unique across all organizations. As service_role, look '
    'it up by lower(email).';
comment on column public.users.auth_user_id is
    'auth.uid() of the account that signs in as this user; look it up by auth_user_id::text. '
    'Null ends access immediately.';

-- Without statistics, the planner's estimates reveal nothing about the values of other tenants.
alter table public.users alter column email set statistics 0;
alter table public.users alter column auth_user_id set statistics 0;
alter index public.users_email_key alter column 1 set statistics 0;
alter index public.users_auth_user_id_key alter column 1 set statistics 0;

create index if not exists users_org_id_created_at_id_idx
on public.users (org_id, created_at desc, id desc);
