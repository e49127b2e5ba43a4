-- 0005_create_ai_agents_and_audit_logs: rollback
-- Drop both tables and all their rows.

drop table if exists public.audit_logs;
drop table if exists public.ai_agents;
