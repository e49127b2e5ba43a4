-- 713_approver_and_time_set_together
-- An approval loses its approver or time, or an unapproved workflow is given them.
-- safe: Refused: both are set together and cleared together.
-- source: sql/0007_guard_rows.sql (approval)

-- as: service_role, owner
-- expect: 23514
update public.workflows set approver_id = null
where org_id = :'org' and id = :'approved_workflow'

-- as: service_role, owner
-- expect: 23514
update public.workflows set approver_id = :'admin', approved_at = now()
where org_id = :'org' and id = :'workflow'

-- as: service_role
-- expect: rows
update public.workflows set status = 'rejected'
where org_id = :'org' and id = :'approved_workflow'

-- as: owner
-- expect: nothing
select 1 from public.workflows
where org_id = :'org' and id = :'approved_workflow' and num_nonnulls(approver_id, approved_at) > 0
