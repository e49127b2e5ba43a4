-- 513_escalate_by_api_role
-- An API role alters the tenants' role, grants it service_role, or may become the tables' owner.
-- safe: Refused.
-- source: https://www.postgresql.org/docs/current/sql-alterrole.html

-- as: OWNER, service_role, anon
-- expect: 42501
alter role authenticated bypassrls

-- as: OWNER, service_role, anon
-- expect: 42501
grant service_role to authenticated

-- The login role of the API may switch to the API roles, but never to the tables' owner.
-- as: OWNER
-- expect: nothing
select login.rolname, owner.rolname
from pg_roles as login, pg_class as c
inner join pg_roles as owner on owner.oid = c.relowner
where login.rolname in ('authenticator', 'anon', 'authenticated')
    and c.oid = 'public.users'::regclass
    and pg_has_role(login.oid, owner.oid, 'member')
