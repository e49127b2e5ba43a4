-- 453_abuse_retention
-- A role other than the tables' owner uses the setting that lets retention delete audit rows.
-- safe: Refused: the setting alone permits nothing.
-- source: sql/0008_record_audit.sql (retention: for the owner only)

-- as: OWNER, service_role
-- expect: 42501
select set_config('app.audit_retention', pg_current_xact_id()::text, true);
delete from public.audit_logs where org_id = :'org'

-- Not even with the privilege to delete.
-- as: owner
-- expect: done
grant delete on public.audit_logs to service_role

-- as: service_role
-- expect: 23514
select set_config('app.audit_retention', pg_current_xact_id()::text, true);
delete from public.audit_logs where org_id = :'org'
