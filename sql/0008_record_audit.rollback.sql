-- 0008_record_audit: rollback
-- Stop recording changes, and remove the append-only protection of the log.

drop trigger if exists keep_audit_whole on public.audit_logs;
drop trigger if exists keep_audit on public.audit_logs;
drop trigger if exists record_audit on public.ai_agents;
drop trigger if exists record_insert on public.ai_agents;
drop trigger if exists record_audit on public.workflows;
drop trigger if exists record_insert on public.workflows;
drop trigger if exists record_audit on public.projects;
drop trigger if exists record_insert on public.projects;
drop trigger if exists record_audit on public.users;
drop trigger if exists record_insert on public.users;
drop trigger if exists record_audit on public.organizations;
drop trigger if exists record_insert on public.organizations;
drop function if exists app.keep_audit();
drop function if exists app.record_audit();
drop function if exists app.record_insert();
