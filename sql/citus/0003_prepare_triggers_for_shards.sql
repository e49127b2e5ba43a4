-- 0003_prepare_triggers_for_shards
-- Create the trigger functions that need nothing but Citus; they also work before 0004.
-- depends: 0002_write_policies_for_shards

-- audit -------------------------------------------------------------------------------------------

-- A transaction has another id on each node, but the number that Citus gives it is the same on all.
-- It has none before its first statement for a worker, which here is a read of no rows.
--
-- The setting of the function sends SET LOCAL to the nodes. It must never be set for a session:
-- Citus would send the whole text of each message in which a SET LOCAL is.
create or replace function app.allow_retention()
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
set citus.propagate_set_commands = 'local'
as $$
declare
    transaction_number text;
begin
    perform 1 from public.audit_logs as l where l.org_id = '';

    select format('%s.%s', t.initiator_node_identifier, t.transaction_number)
    into transaction_number
    from get_current_transaction_id() as t;
    execute format('set local app.audit_retention = %L', transaction_number);
end
$$;
comment on function app.allow_retention() is
    'Lets the owner of audit_logs delete rows until the end of this transaction.';
revoke all on function app.allow_retention() from public;

-- Only another way to name the transaction; who may delete, and how it is refused, is as in 0008.
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
        and current_setting('app.audit_retention', true) = (
            select format('%s.%s', t.initiator_node_identifier, t.transaction_number)
            from get_current_transaction_id() as t
            where t.transaction_number > 0
        )
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
    'select app.allow_retention().';

-- values that tenants do not write ----------------------------------------------------------------

-- Citus sends an INSERT with the defaults written out, and the shard then checks the privilege on
-- these columns, which tenants do not have. So 0004 replaces such defaults by this trigger.
create or replace function app.fill_in()
returns trigger
language plpgsql
volatile
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    new.id := coalesce(new.id, app.new_id());

    -- clock_timestamp(), so that the rows of one transaction keep their order in the log.
    if 'created_at' = any (tg_argv) then
        new.created_at := coalesce(new.created_at, clock_timestamp());
    end if;

    if 'updated_at' = any (tg_argv) then
        new.updated_at := coalesce(new.updated_at, new.created_at);
    end if;

    return new;
end
$$;
comment on function app.fill_in() is
    'Sets the id of a new row, and the times that the trigger names, where the INSERT has none.';
revoke all on function app.fill_in() from public;
