-- 714_approved_workflow_is_immutable
-- Gate, project or metadata of an approved workflow is changed, by any role.
-- safe: Refused.
-- source: sql/0007_guard_rows.sql (approval)

-- as: service_role, owner
-- expect: 23514
update public.workflows set gate = 'G8' where org_id = :'org' and id = :'approved_workflow'

-- as: service_role, owner
-- expect: 23514
update public.workflows set project_id = :'idle_project'
where org_id = :'org' and id = :'approved_workflow'

-- as: service_role, owner
-- expect: 23514
update public.workflows set metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'

-- as: service_role, owner
-- expect: 23514
update public.workflows set status = 'pending', metadata = '{"added": "later"}'
where org_id = :'org' and id = :'approved_workflow'
