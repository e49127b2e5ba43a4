-- 303_demote_an_owner
-- An ADMIN or a MEMBER takes the role OWNER from somebody, or renames an OWNER.
-- safe: To them an OWNER is a row they cannot change.
-- source: runner/isolation/matrix/permissions.toml

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'other_owner'

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and 'OWNER' = any (roles)

-- as: ADMIN, MEMBER
-- expect: nothing, 42501
update public.users set name = 'Nobody' where org_id = :'org' and id = :'other_owner'

-- One who is OWNER among other things is an OWNER.
-- as: OWNER
-- expect: rows
update public.users set roles = '{MEMBER,OWNER}' where org_id = :'org' and id = :'other_owner'

-- as: ADMIN
-- expect: nothing, 42501
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'other_owner'
