-- 737_updated_at_is_set_by_database
-- updated_at is set to an arbitrary time, with and without another change.
-- safe: It is set to now if another column changed, and otherwise does not change.
-- source: a decision of this schema: updated_at changes only together with another column

-- The time is that of a worker, and the owner looks in a transaction of their own.
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
where org_id = :'org' and id = :'project'
    and updated_at not between now() - interval '1 minute' and now() + interval '1 minute'
union all
select 1 from public.users
where org_id = :'org' and id = :'member' and updated_at < '2002-01-01'
