-- 702_all_owners_at_once
-- One statement demotes every OWNER of an organization.
-- safe: Refused; a statement that transfers the role to another user is accepted.
-- source: sql/0007_guard_rows.sql

-- As OWNER it can fail sooner, when their own row is done before another.
-- as: OWNER
-- expect: 23514, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.users set roles = '{MEMBER}' where org_id = :'org'

-- as: service_role, owner
-- expect: 23514
update public.users set roles = '{ADMIN}' where org_id in (:'org', :'away.org')

-- Not "case id when": Citus sends that with an operator that does not exist.
-- as: service_role
-- expect: rows
update public.users
set roles = case when id = :'member' then '{OWNER}' else '{MEMBER}' end::public.user_role[]
where org_id = :'org'
