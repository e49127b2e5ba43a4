-- 253_platform_links_organizations
-- service_role links rows of two organizations by mistake.
-- safe: Foreign keys refuse it: they include the organization on both sides.
-- source: a decision of this schema: every foreign key inside a tenant is composite

-- as: service_role, owner
-- expect: 23503
insert into public.workflows (org_id, project_id, gate) values (:'org', :'away.project', 'G1')

-- as: service_role, owner
-- expect: 23503
update public.workflows set project_id = :'away.project'
where org_id = :'org' and id = :'workflow'

-- as: service_role, owner
-- expect: 23503
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'away.member', 'exported')

-- as: service_role, owner
-- expect: 23503, 23514
update public.workflows set status = 'approved', approver_id = :'away.owner'
where org_id = :'org' and id = :'workflow'
