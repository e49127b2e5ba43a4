-- 0003_prepare_triggers_for_shards: rollback
-- Create app.keep_audit() of 0008_record_audit again.

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

drop function if exists app.fill_in();
drop function if exists app.allow_retention();
