-- 301_promote_self
-- A MEMBER makes themselves ADMIN or OWNER, an ADMIN makes themselves OWNER.
-- safe: Refused by the trigger guard_roles.
-- source: sql/isolation.toml; sql/0007_guard_rows.sql

-- as: MEMBER
-- expect: 42501
update public.users set roles = '{ADMIN}' where org_id = :'org' and id = :'me'

-- as: MEMBER, ADMIN
-- expect: 42501
update public.users set roles = '{OWNER}' where org_id = :'org' and id = :'me'

-- as: MEMBER, ADMIN
-- expect: 42501
update public.users set roles = roles || '{OWNER}' where org_id = :'org' and id = :'me'
