-- 254_a_check_that_tells
-- A tenant breaks a check on another organization's row, and on one that does not exist.
-- safe: Nothing happens in both cases: no check is run on what is not seen.
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
