-- 254_leak_by_check_constraint
-- A tenant violates a check on another organization's row, and on one that does not exist.
-- safe: Nothing happens in either case: checks do not run on invisible rows.
-- source: sql/0009_enable_row_level_security.sql; CWE-203

-- as: OWNER
-- expect: nothing
update public.projects set name = '', status = 'none'
where org_id = :'away.org' and id = :'new_id'

-- as: OWNER
-- expect: nothing
update public.projects set name = '', status = 'none'
where org_id = :'away.org' and id = :'away.project'

-- as: OWNER
-- expect: nothing
update public.workflows set metadata = '[]'
where org_id = :'away.org' and id = :'away.approved_workflow'
