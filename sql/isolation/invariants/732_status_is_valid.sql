-- 732_status_is_valid
-- A project or workflow is given an unknown status.
-- safe: Refused.
-- source: sql/0003_create_organizations_and_users.sql (statuses)

-- as: service_role, owner, OWNER
-- expect: 23514
update public.projects set status = 'done' where org_id = :'org' and id = :'project'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.projects set status = '' where org_id = :'org' and id = :'project'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.workflows set status = 'APPROVED' where org_id = :'org' and id = :'workflow'
