-- 504_become_more_by_role
-- Somebody of the API changes roles, grants themselves one, or turns the guards off.
-- safe: Refused.
-- source: https://www.postgresql.org/docs/current/sql-alterrole.html; runtime-config-client.html
--   (session_replication_role)

-- as: OWNER, service_role, anon
-- expect: 42501
alter role authenticated bypassrls

-- as: OWNER, service_role, anon
-- expect: 42501
create role planted

-- as: OWNER, service_role, anon
-- expect: 42501
grant service_role to authenticated

-- as: OWNER, service_role, anon
-- expect: 42501
set local session_replication_role = replica

-- as: OWNER, service_role, anon
-- expect: 42501
alter function app.caller_org() owner to current_user

-- The role that requests come in by may become those of the API, and never who owns the tables.
-- as: OWNER
-- expect: nothing
select door.rolname, owner.rolname
from pg_roles as door, pg_class as c
inner join pg_roles as owner on owner.oid = c.relowner
where door.rolname in ('authenticator', 'anon', 'authenticated')
    and c.oid = 'public.users'::regclass
    and pg_has_role(door.oid, owner.oid, 'member')
