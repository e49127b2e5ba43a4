-- 721_audit_log_is_append_only
-- The tables' owner updates or deletes audit rows.
-- safe: Refused by trigger; TRUNCATE is checked by rule 60, because trying it would lock the table.
-- source: sql/0008_record_audit.sql (audit_logs)

-- as: owner
-- expect: 23514
update public.audit_logs set action = 'nothing' where org_id = :'org'

-- as: owner
-- expect: 23514
update public.audit_logs set meta = meta where org_id = :'org' and id = :'audit'

-- as: owner
-- expect: 23514
delete from public.audit_logs where org_id = :'org'

-- Retention may delete old rows, but not change any.
-- as: owner
-- expect: 23514
select set_config('app.audit_retention', pg_current_xact_id()::text, true);
update public.audit_logs set action = 'nothing' where org_id = :'org'

-- A setting left over from another transaction permits nothing.
-- as: owner
-- expect: 23514
select set_config('app.audit_retention', '1', true);
delete from public.audit_logs where org_id = :'org'
