-- 251_reference_to_another_organization
-- A tenant refers to another organization's project, and to one that does not exist.
-- safe: Both are refused with the same message: the two cases cannot be told apart.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (Notes: integrity checks);
--   CWE-203

-- as: MEMBER
-- expect: 23503
insert into public.workflows (org_id, project_id, gate) values (:'org', :'new_id', 'G1')

-- as: MEMBER
-- expect: same
insert into public.workflows (org_id, project_id, gate) values (:'org', :'away.project', 'G1')

-- as: MEMBER
-- expect: 42501
insert into public.workflows (org_id, project_id, gate) values (:'away.org', :'new_id', 'G1')

-- as: MEMBER
-- expect: same
insert into public.workflows (org_id, project_id, gate) values (:'away.org', :'away.project', 'G1')
