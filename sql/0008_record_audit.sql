-- 0008_record_audit
-- Record every change in the audit log, and make the log append-only.
-- depends: 0007_guard_rows

-- Both functions are security definer, because tenants may not write the actions insert, update and
-- delete. The table name is an argument: on a sharded PostgreSQL tg_table_name is that of a shard.
--
-- Inserts are recorded per statement, because bulk loads insert thousands of rows. They are sorted
-- by org_id, which is the order of the indexes of the log.
create or replace function app.record_insert()
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
begin
    select u.org_id, u.id
    into actor
    from public.users as u
    where u.auth_user_id::text = caller
    limit 1;

    if tg_argv[0] = 'organizations' then
        insert into public.audit_logs (org_id, actor_id, action, target_type, target_id)
        select n.id, case n.id when actor.org_id then actor.id end, 'insert', tg_argv[0], n.id
        from new_rows as n
        order by n.id;
    else
        insert into public.audit_logs (org_id, actor_id, action, target_type, target_id)
        select
            n.org_id, case n.org_id when actor.org_id then actor.id end, 'insert', tg_argv[0], n.id
        from new_rows as n
        order by n.org_id;
    end if;

    return null;
end
$$;
comment on function app.record_insert() is
    'Records who inserted which rows.';
revoke all on function app.record_insert() from public;

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
revoke all on function app.record_audit() from public;

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

-- For retention, the owner of the table can delete rows in a transaction that requests it:
--
--     begin;
--     select set_config('app.audit_retention', pg_current_xact_id()::text, true);
--     delete from public.audit_logs where org_id = '...' and created_at < '...';
--     commit;
--
-- The setting must be the id of the transaction, so a value left over in a session has no effect.
--
-- This is also how to remove an organization that has audit logs: in such a transaction, run
-- "set constraints all deferred", delete the organization first, then all rows with its org_id.
create or replace function app.keep_audit()
returns trigger
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    operation text := lower(tg_op);
begin
    if tg_op = 'DELETE'
        and current_setting('app.audit_retention', true) = pg_current_xact_id()::text
        and exists (
            select
            from pg_class as rel
            where rel.oid = tg_relid
                and pg_has_role(rel.relowner, 'usage')
        )
    then
        return old;
    end if;

    if tg_level = 'ROW' then
        operation := format('%s of %s', operation, old.id);
    end if;

    raise exception 'audit_logs is append-only: % refused', operation
        using errcode = 'check_violation', constraint = 'keep_audit',
        hint = 'Insert a new audit row instead. For retention, see the comment on function '
            'app.keep_audit().';
end
$$;
comment on function app.keep_audit() is
    'Rejects UPDATE, DELETE and TRUNCATE. Only the owner may delete, in a transaction that runs '
    'set_config(''app.audit_retention'', pg_current_xact_id()::text, true).';
revoke all on function app.keep_audit() from public;

create or replace trigger keep_audit
before update or delete on public.audit_logs
for each row execute function app.keep_audit();

create or replace trigger keep_audit_whole
before truncate on public.audit_logs
for each statement execute function app.keep_audit();
