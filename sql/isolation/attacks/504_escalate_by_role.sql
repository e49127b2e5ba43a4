-- 504_escalate_by_role
-- An API role alters roles, grants itself one, or disables triggers.
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

-- The login role of the API may switch to the API roles, but never to the tables' owner.
-- as: OWNER
-- expect: nothing
select login.rolname, owner.rolname
from pg_roles as login, pg_class as c
inner join pg_roles as owner on owner.oid = c.relowner
where login.rolname in ('authenticator', 'anon', 'authenticated')
    and c.oid = 'public.users'::regclass
    and pg_has_role(login.oid, owner.oid, 'member')
