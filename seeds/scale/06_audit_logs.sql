-- 06_audit_logs
-- Audit logs: one row for each approval, at its time. The database has already added its own audit
-- rows for the rows of the other files.
-- statement_timeout: 0

insert into public.audit_logs
    (org_id, id, actor_id, action, target_type, target_id, meta, created_at)
select
    flow.org_id,
    overlay(flow.id placing 'l' from 14 for 1),
    flow.approver_id,
    'workflow.approved',
    'workflows',
    flow.id,
    jsonb_build_object('gate', flow.gate),
    flow.approved_at
from public.workflows as flow
where flow.id like 'cscale%'
    and flow.approved_at is not null
on conflict (org_id, id) do nothing;

-- The planner needs statistics, and a load test should not have to wait for autovacuum.
analyze
    public.organizations,
    public.users,
    public.projects,
    public.workflows,
    public.ai_agents,
    public.audit_logs;
