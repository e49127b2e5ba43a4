-- 0004_distribute_tables: rollback
-- Move all rows back to the coordinator, with the keys, helpers and triggers of the first files.

set local citus.enable_unsafe_triggers = on;
set local citus.multi_shard_modify_mode = 'sequential';

-- tables ------------------------------------------------------------------------------------------

do $$
declare
    old_trigger record;
    definitions text[] := '{}';
    definition text;
    child text;
begin
    if to_regclass('app.accounts') is null then
        return;
    end if;

    -- Dropped, because they would run for each row that is moved, and created again.
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

        if old_trigger.name <> 'fill_in' then
            definitions := definitions || old_trigger.body;
        end if;
    end loop;

    -- Comments are not moved with the tables.
    select
        definitions || array_agg(
            format(
                'comment on %s %s is %L',
                replace(commented.type, 'table c', 'c'), commented.identity, d.description
            )
        )
    into definitions
    from pg_description as d
    left join pg_policy as p on p.oid = d.objoid and d.classoid = 'pg_policy'::regclass
    left join pg_constraint as c on c.oid = d.objoid and d.classoid = 'pg_constraint'::regclass
    left join pg_index as i on i.indexrelid = d.objoid and d.classoid = 'pg_class'::regclass
    cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) as commented
    where coalesce(p.polrelid, c.conrelid, i.indrelid, d.objoid) in (
        'public.organizations'::regclass,
        'public.users'::regclass,
        'public.projects'::regclass,
        'public.workflows'::regclass,
        'public.ai_agents'::regclass,
        'public.audit_logs'::regclass
    );

    alter table public.users drop constraint users_email_fkey;
    alter table public.users drop constraint users_auth_user_id_fkey;
    perform undistribute_table('public.organizations', cascade_via_foreign_keys => true);
    drop table app.accounts;

    foreach child in array array['users', 'projects', 'workflows', 'ai_agents', 'audit_logs']
    loop
        execute format(
            'alter table public.%I alter constraint %I deferrable initially immediate',
            child, child || '_org_id_fkey'
        );
    end loop;

    alter table public.users
    add constraint users_email_key exclude using hash (lower(email) with =),
    add constraint users_auth_user_id_key exclude using hash ((auth_user_id::text) with =);

    foreach definition in array definitions
    loop
        execute definition;
    end loop;
end
$$;

alter table public.users alter column email set statistics 0;
alter table public.users alter column auth_user_id set statistics 0;
alter index public.users_email_key alter column 1 set statistics 0;
alter index public.users_auth_user_id_key alter column 1 set statistics 0;

alter table public.users alter column id set default app.new_id();
alter table public.users alter column created_at set default now();
alter table public.users alter column updated_at set default now();
alter table public.projects alter column id set default app.new_id();
alter table public.projects alter column created_at set default now();
alter table public.projects alter column updated_at set default now();
alter table public.workflows alter column id set default app.new_id();
alter table public.ai_agents alter column id set default app.new_id();
alter table public.ai_agents alter column created_at set default now();
alter table public.audit_logs alter column id set default app.new_id();
alter table public.audit_logs alter column created_at set default clock_timestamp();

-- helpers -----------------------------------------------------------------------------------------

create or replace function app.caller_org()
returns text
language plpgsql
stable
parallel safe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
begin
    return (
        select u.org_id
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
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
declare
    caller text := auth.uid();
begin
    return (
        select case when u.roles && wanted then u.org_id end
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
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
declare
    caller text := auth.uid();
begin
    return (
        select u.id
        from public.users as u
        where u.auth_user_id::text = caller
        limit 2
    );
end
$$;

create or replace function app.lock_caller_as(variadic wanted public.user_role[])
returns text
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
    locked record;
begin
    select u.org_id, u.roles
    into locked
    from public.users as u
    where u.auth_user_id::text = caller
    limit 1
    for share;

    return case when locked.roles && wanted then locked.org_id end;
end
$$;

-- triggers ----------------------------------------------------------------------------------------

create or replace function app.record_audit()
returns trigger
language plpgsql
volatile
parallel unsafe
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    caller text := auth.uid();
    actor record;
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

    select u.org_id, u.id
    into actor
    from public.users as u
    where u.auth_user_id::text = caller
    limit 1;

    insert into public.audit_logs (org_id, actor_id, action, target_type, target_id, meta)
    values (
        subject_org,
        case subject_org when actor.org_id then actor.id end,
        lower(tg_op),
        tg_argv[0],
        subject.id,
        details
    );

    -- A row that moved, or got another id, is found in both logs and by both ids.
    if details -> 'columns' ?| '{org_id,id}' then
        insert into public.audit_logs (org_id, actor_id, action, target_type, target_id, meta)
        select
            o.id,
            case o.id when actor.org_id then actor.id end,
            'update',
            tg_argv[0],
            old.id,
            details
        from public.organizations as o
        where o.id = before ->> 'org_id';
    end if;

    return null;
end
$$;
comment on function app.record_audit() is
    'Records who updated or deleted which row, and the names of changed columns; a move in the '
    'logs of both organizations.';

create or replace trigger record_insert
after insert on public.organizations
referencing new table as new_rows
for each statement execute function app.record_insert('organizations');

create or replace trigger record_audit
after update or delete on public.organizations
for each row execute function app.record_audit('organizations');

create or replace trigger record_insert
after insert on public.users
referencing new table as new_rows
for each statement execute function app.record_insert('users');

create or replace trigger record_audit
after update or delete on public.users
for each row execute function app.record_audit('users');

create or replace trigger record_insert
after insert on public.projects
referencing new table as new_rows
for each statement execute function app.record_insert('projects');

create or replace trigger record_audit
after update or delete on public.projects
for each row execute function app.record_audit('projects');

create or replace trigger record_insert
after insert on public.workflows
referencing new table as new_rows
for each statement execute function app.record_insert('workflows');

create or replace trigger record_audit
after update or delete on public.workflows
for each row execute function app.record_audit('workflows');

create or replace trigger record_insert
after insert on public.ai_agents
referencing new table as new_rows
for each statement execute function app.record_insert('ai_agents');

create or replace trigger record_audit
after update or delete on public.ai_agents
for each row execute function app.record_audit('ai_agents');

drop function if exists app.find_caller();
