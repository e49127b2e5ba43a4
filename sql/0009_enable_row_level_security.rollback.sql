-- 0009_enable_row_level_security: rollback
-- Revoke the grants, then drop the policies, so that no table is accessible without its policies.

do $$
declare
    tenant_table regclass;
begin
    for tenant_table in
        select rel.oid
        from pg_class as rel
        where rel.relnamespace = 'public'::regnamespace
            and rel.relname in (
                'organizations', 'users', 'projects', 'workflows', 'ai_agents', 'audit_logs'
            )
    loop
        execute format(
            'revoke all on %s from public, anon, authenticated, service_role', tenant_table
        );
    end loop;
end
$$;

drop policy if exists all_service_role on public.audit_logs;
drop policy if exists tenant_isolation on public.audit_logs;
drop policy if exists insert_member on public.audit_logs;
drop policy if exists select_admin on public.audit_logs;
alter table if exists public.audit_logs no force row level security;
alter table if exists public.audit_logs disable row level security;

drop policy if exists all_service_role on public.ai_agents;
drop policy if exists tenant_isolation on public.ai_agents;
drop policy if exists update_admin on public.ai_agents;
drop policy if exists insert_admin on public.ai_agents;
drop policy if exists select_member on public.ai_agents;
alter table if exists public.ai_agents no force row level security;
alter table if exists public.ai_agents disable row level security;

drop policy if exists all_service_role on public.workflows;
drop policy if exists tenant_isolation on public.workflows;
drop policy if exists update_member on public.workflows;
drop policy if exists insert_member on public.workflows;
drop policy if exists select_member on public.workflows;
alter table if exists public.workflows no force row level security;
alter table if exists public.workflows disable row level security;

drop policy if exists all_service_role on public.projects;
drop policy if exists tenant_isolation on public.projects;
drop policy if exists update_admin on public.projects;
drop policy if exists insert_admin on public.projects;
drop policy if exists select_member on public.projects;
alter table if exists public.projects no force row level security;
alter table if exists public.projects disable row level security;

drop policy if exists all_service_role on public.users;
drop policy if exists tenant_isolation on public.users;
drop policy if exists update_member on public.users;
drop policy if exists insert_admin on public.users;
drop policy if exists select_member on public.users;
alter table if exists public.users no force row level security;
alter table if exists public.users disable row level security;

drop policy if exists all_service_role on public.organizations;
drop policy if exists tenant_isolation on public.organizations;
drop policy if exists update_owner on public.organizations;
drop policy if exists select_member on public.organizations;
alter table if exists public.organizations no force row level security;
alter table if exists public.organizations disable row level security;
