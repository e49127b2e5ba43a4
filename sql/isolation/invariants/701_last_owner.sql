-- 701_last_owner
-- The last OWNER of an organization is demoted, moved or deleted, by any role.
-- safe: Refused: an organization always has an OWNER.
-- source: sql/0007_guard_rows.sql

-- as: OWNER
-- expect: rows
update public.users set roles = '{ADMIN}' where org_id = :'org' and id <> :'owner' and 'OWNER' = any (roles)

-- as: OWNER, service_role, owner
-- expect: 23514
update public.users set roles = '{ADMIN}' where org_id = :'org' and id = :'owner'

-- as: service_role, owner
-- expect: 23514
update public.users set roles = '{MEMBER,ADMIN}' where org_id = :'org' and id = :'owner'

-- as: service_role, owner
-- expect: 23514, 23503
update public.users set org_id = :'away.org' where org_id = :'org' and id = :'owner'

-- as: service_role, owner
-- expect: 23514, 23503
delete from public.users where org_id = :'org' and id = :'owner'
