-- 0004_distribute_tables
-- Distribute all tables by organization, with helpers and triggers that read a single shard.
-- depends: 0003_prepare_triggers_for_shards

-- One file, because its tables must at no time be without their triggers. Citus creates triggers on
-- distributed tables only with this setting, because it cannot know what they read. These read and
-- write rows of the organization whose row is written, which are on the same node.
set local citus.enable_unsafe_triggers = on;
-- One connection for each worker, because later statements must see what the earlier ones did.
set local citus.multi_shard_modify_mode = 'sequential';

-- accounts ----------------------------------------------------------------------------------------

-- A key of a distributed table contains org_id, so it cannot keep an address or an account unique
-- across organizations. This table can: every node has a copy of all its rows.
create table if not exists app.accounts (
    email text not null,
    org_id text collate "C" not null,
    user_id text collate "C" not null,
    auth_user_id uuid,

    constraint accounts_pkey primary key (email),
    constraint accounts_auth_user_id_key unique (auth_user_id),
    constraint accounts_org_id_user_id_key unique (org_id, user_id),
    -- For the foreign keys of users.
    constraint accounts_email_org_id_user_id_key unique (email, org_id, user_id),
    constraint accounts_auth_user_id_org_id_user_id_key unique (auth_user_id, org_id, user_id)
);
comment on table app.accounts is
    'Where an address and an account belong: one row for each row of users. Gives no access.';
revoke all on app.accounts from public, anon, authenticated, service_role;
grant select, insert, update, delete on app.accounts to service_role;

insert into app.accounts (email, org_id, user_id, auth_user_id)
select u.email, u.org_id, u.id, u.auth_user_id
from public.users as u
on conflict do nothing;

-- tables ------------------------------------------------------------------------------------------

do $$
declare
    old_trigger record;
    definitions text[] := '{}';
    definition text;
    child text;
begin
    if exists (
        select from pg_dist_partition where logicalrelid = 'public.audit_logs'::regclass
    ) then
        return;
    end if;

    -- Dropped, because they would run for each row that is moved to a shard, and created again.
    -- Except record_insert, whose transition table a shard does not have: see app.record_audit().
    for old_trigger in
        select t.tgname as name, t.tgrelid::regclass as relation, pg_get_triggerdef(t.oid) as body
        from pg_trigger as t
        where t.tgrelid in (
            'public.organizations'::regclass,
            'public.users'::regclass,
            'public.projects'::regclass,
            'public.workflows'::regclass,
            'public.ai_agents'::regclass,
            'public.audit_logs'::regclass
        )
            and not t.tgisinternal
    loop
        execute format('drop trigger %I on %s', old_trigger.name, old_trigger.relation);

        if old_trigger.name <> 'record_insert' then
            definitions := definitions || old_trigger.body;
        end if;
    end loop;

    -- Replaced by the two foreign keys to app.accounts.
    alter table public.users drop constraint users_email_key;
    alter table public.users drop constraint users_auth_user_id_key;

    perform create_reference_table('app.accounts');
    perform create_distributed_table('public.organizations', 'id');

    foreach child in array array['users', 'projects', 'workflows', 'ai_agents', 'audit_logs']
    loop
        perform create_distributed_table(
            format('public.%I', child), 'org_id', colocate_with => 'public.organizations'
        );
    end loop;

    -- create_distributed_table() leaves the rows in the coordinator's table, where no query sees
    -- them. The first of these also removes those of the tables that reference organizations.
    perform truncate_local_data_after_distributing_table('public.organizations');
    perform truncate_local_data_after_distributing_table('app.accounts');

    -- To remove an organization, its own row is deleted first. Citus does not send SET CONSTRAINTS
    -- to the shards, so from now on these are checked at the end of each transaction.
    foreach child in array array['users', 'projects', 'workflows', 'ai_agents', 'audit_logs']
    loop
        execute format('alter table public.%I drop constraint %I', child, child || '_org_id_fkey');
        execute format(
            'alter table public.%I add constraint %I foreign key (org_id) '
            'references public.organizations (id) deferrable initially deferred',
            child, child || '_org_id_fkey'
        );
    end loop;

    -- A user exists only with the account of the same address, organization, id and auth_user_id.
    -- Deferred, so that either row can be written first.
    alter table public.users
    add constraint users_email_fkey foreign key (email, org_id, id)
    references app.accounts (email, org_id, user_id) deferrable initially deferred;
    alter table public.users
    add constraint users_auth_user_id_fkey foreign key (auth_user_id, org_id, id)
    references app.accounts (auth_user_id, org_id, user_id) deferrable initially deferred;

    foreach definition in array definitions
    loop
        execute definition;
    end loop;
end
$$;

-- See app.fill_in(). organizations.id keeps its default: it decides which shard gets the row.
do $$
declare
    filled record;
begin
    for filled in
        select a.attrelid::regclass as relation, a.attname as name
        from pg_attribute as a
        where a.attrelid in (
            'public.users'::regclass,
            'public.projects'::regclass,
            'public.workflows'::regclass,
            'public.ai_agents'::regclass,
            'public.audit_logs'::regclass
        )
            and a.attname in ('id', 'created_at', 'updated_at')
            and a.atthasdef
    loop
        execute format('alter table %s alter column %I drop default', filled.relation, filled.name);
    end loop;
end
$$;

-- helpers -----------------------------------------------------------------------------------------

-- Two reads, because only a query that names the organization is sent to a single shard. The first
-- says where the caller is; only the second, the row of users, says who they are.
--
-- A policy may ask from a shard of another organization, and then this reads another node. Citus
-- allows it only with the setting of the function, because such a read does not see what this
-- transaction has written there. Here this changes no answer: rows of the caller's organization are
-- on the node of the caller's row, and other rows match no answer.
create or replace function app.find_caller(
    out org_id text,
    out id text,
    out roles public.user_role[]
)
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
set citus.allow_nested_distributed_execution = on
as $$
declare
    caller uuid := auth.uid();
    account record;
begin
    select a.org_id, a.user_id
    into account
    from app.accounts as a
    where a.auth_user_id = caller;

    if account.org_id is null then
        return;
    end if;

    select u.org_id, u.id, u.roles
    into org_id, id, roles
    from public.users as u
    where u.org_id = account.org_id
        and u.id = account.user_id
        and u.auth_user_id = caller;
end
$$;
comment on function app.find_caller() is
    'Organization, id and roles of the caller; nulls if the caller is not a linked user.';
revoke all on function app.find_caller() from public;

create or replace function app.caller_org()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select c.org_id from app.find_caller() as c);
end
$$;

create or replace function app.caller_org_as(variadic wanted public.user_role[])
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select c.org_id from app.find_caller() as c where c.roles && wanted);
end
$$;

create or replace function app.caller_user()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (select c.id from app.find_caller() as c);
end
$$;

create or replace function app.lock_caller_as(variadic wanted public.user_role[])
returns text
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
set citus.allow_nested_distributed_execution = on
as $$
declare
    caller uuid := auth.uid();
    account record;
    locked record;
begin
    select a.org_id, a.user_id
    into account
    from app.accounts as a
    where a.auth_user_id = caller;

    if account.org_id is null then
        return null;
    end if;

    select u.org_id, u.roles
    into locked
    from public.users as u
    where u.org_id = account.org_id
        and u.id = account.user_id
        and u.auth_user_id = caller
    for share;

    return case when locked.roles && wanted then locked.org_id end;
end
$$;

-- triggers ----------------------------------------------------------------------------------------

-- As in 0008, with three differences. It also records inserts, row by row, because a shard has no
-- transition tables. The actor is found by app.find_caller(). And every INSERT has plain values,
-- because Citus refuses sub-queries in them.
create or replace function app.record_audit()
returns trigger
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    actor text;
    subject record;
    subject_org text;
    before jsonb;
    details jsonb := '{}';
begin
    if tg_op = 'DELETE' then
        subject := old;
    else
        subject := new;
    end if;

    if tg_argv[0] = 'organizations' then
        subject_org := subject.id;
    else
        subject_org := subject.org_id;
    end if;

    if tg_op = 'UPDATE' then
        before := to_jsonb(old);

        select jsonb_build_object('columns', jsonb_agg(after.key order by after.key))
        into details
        from jsonb_each(to_jsonb(new)) as after (key, value)
        where after.value is distinct from before -> after.key
            and after.key <> 'updated_at'
        having count(*) > 0;

        if details is null then
            return null;  -- nothing changed
        end if;
    end if;

    -- The organization row is already gone, so there is no parent for an audit row.
    if tg_op = 'DELETE' and not exists (
        select
        from public.organizations as o
        where o.id = subject_org
    ) then
        return null;
    end if;

    select case c.org_id when subject_org then c.id end
    into actor
    from app.find_caller() as c;

    insert into public.audit_logs (org_id, actor_id, action, target_type, target_id, meta)
    values (subject_org, actor, lower(tg_op), tg_argv[0], subject.id, details);

    -- A row that got another id is found by both. Citus refuses a move to another organization.
    if details -> 'columns' ? 'id' then
        insert into public.audit_logs (org_id, actor_id, action, target_type, target_id, meta)
        values (subject_org, actor, 'update', tg_argv[0], before ->> 'id', details);
    end if;

    return null;
end
$$;
comment on function app.record_audit() is
    'Records who inserted, updated or deleted which row, and the names of changed columns.';

create or replace trigger fill_in
before insert on public.users
for each row execute function app.fill_in('created_at', 'updated_at');

create or replace trigger fill_in
before insert on public.projects
for each row execute function app.fill_in('created_at', 'updated_at');

create or replace trigger fill_in
before insert on public.workflows
for each row execute function app.fill_in();

create or replace trigger fill_in
before insert on public.ai_agents
for each row execute function app.fill_in('created_at');

create or replace trigger fill_in
before insert on public.audit_logs
for each row execute function app.fill_in('created_at');

create or replace trigger record_audit
after insert or update or delete on public.organizations
for each row execute function app.record_audit('organizations');

create or replace trigger record_audit
after insert or update or delete on public.users
for each row execute function app.record_audit('users');

create or replace trigger record_audit
after insert or update or delete on public.projects
for each row execute function app.record_audit('projects');

create or replace trigger record_audit
after insert or update or delete on public.workflows
for each row execute function app.record_audit('workflows');

create or replace trigger record_audit
after insert or update or delete on public.ai_agents
for each row execute function app.record_audit('ai_agents');
