-- 737_updated_at_is_the_databases
-- updated_at is set to a time of somebody's choice, and a change is made that is none.
-- safe: It moves to now when something else moved, and only then.
-- source: a decision of this schema: updated_at moves when something else did

-- as: service_role
-- expect: rows
update public.projects set name = 'Renamed', updated_at = '2001-01-01'
where org_id = :'org' and id = :'project'

-- as: service_role
-- expect: rows
update public.users set updated_at = '2001-01-01' where org_id = :'org' and id = :'member'

-- as: owner
-- expect: nothing
select 1 from public.projects
where org_id = :'org' and id = :'project' and updated_at is distinct from now()
union all
select 1 from public.users
where org_id = :'org' and id = :'member' and updated_at < '2002-01-01'
