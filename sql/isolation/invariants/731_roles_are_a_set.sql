-- 731_roles_are_a_set
-- A user's roles are set to none, null, duplicate or nested values.
-- safe: Refused: one to three different roles in a flat array.
-- source: sql/0007_guard_rows.sql (roles)

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set roles = '{}' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set roles = '{MEMBER,NULL}' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set roles = '{ADMIN,ADMIN}' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set roles = '{{ADMIN},{MEMBER}}'
where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514
update public.users set roles = '[5:5]={ADMIN}' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23502
update public.users set roles = null where org_id = :'org' and id = :'other_member'
