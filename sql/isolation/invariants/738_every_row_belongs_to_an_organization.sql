-- 738_every_row_belongs_to_an_organization
-- A row is inserted with no organization, or with one that does not exist.
-- safe: Refused.
-- source: a decision of this schema: org_id not null, references organizations

-- as: service_role, owner
-- expect: 23502
insert into public.projects (org_id, name) values (null, 'Lost')

-- as: service_role, owner
-- expect: 23503
insert into public.projects (org_id, name) values (:'new_id', 'Lost')

-- as: service_role, owner
-- expect: 23502
insert into public.users (org_id, email, name) values (null, :'new_id' || '@proof.invalid', 'Lost')

-- as: service_role, owner
-- expect: 23503
insert into public.ai_agents (org_id, type) values (:'new_id', 'lost')

-- as: service_role, owner
-- expect: 23502
insert into public.audit_logs (org_id, action) values (null, 'exported')

-- as: service_role, owner
-- expect: 23502
update public.workflows set org_id = null where org_id = :'org' and id = :'workflow'
