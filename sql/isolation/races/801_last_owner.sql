-- 801_last_owner
-- Two owners of an organization step down at the same time.
-- safe: One of them remains.
-- source: sql/0007_guard_rows.sql (keep_last_owner)

-- as: owner
-- expect: done
update public.users
set roles = case when id in (:'owner', :'other_owner') then '{OWNER}' else '{MEMBER}' end::public.user_role[]
where org_id = :'org'

-- as: service_role
-- expect: rows
select count(*) from public.users where org_id = :'org' and 'OWNER' = any (roles)

-- as: service_role
-- expect: rows
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'owner'

-- as: service_role
-- expect: rows, 23514, 40001, 40P01, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'other_owner'

-- as: owner
-- expect: rows
select 1 from public.users where org_id = :'org' and 'OWNER' = any (roles) having count(*) = 1
