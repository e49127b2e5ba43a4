-- 303_demote_owner
-- An ADMIN or a MEMBER takes the role OWNER from a user, or renames an OWNER.
-- safe: They cannot change the row of an OWNER.
-- source: sql/isolation.toml

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'other_owner'

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and 'OWNER' = any (roles)

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set name = 'Renamed' where org_id = :'org' and id = :'other_owner'

-- A user who is OWNER among other roles is an OWNER.
-- as: OWNER
-- expect: rows
update public.users set roles = '{MEMBER,OWNER}' where org_id = :'org' and id = :'other_owner'

-- as: ADMIN
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'other_owner'
