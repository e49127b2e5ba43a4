-- The roles of the server, in the columns of schema/queries/catalog.sql: a fact for each role, one for
-- each attribute that it has, and one for each role that it is a member of. They belong to no database,
-- so they are no part of its catalog.
select
    'role' as kind,
    pg_catalog.quote_ident(r.rolname) as name,
    fact.trait,
    fact.value,
    null as of,
    null as make,
    null as unmake
from pg_catalog.pg_roles as r
cross join lateral (
    values
    ('', true, ''),
    ('superuser', r.rolsuper, ''),
    ('bypassrls', r.rolbypassrls, ''),
    ('createrole', r.rolcreaterole, ''),
    ('createdb', r.rolcreatedb, ''),
    ('replication', r.rolreplication, ''),
    ('inherit', r.rolinherit, ''),
    ('login', r.rolcanlogin, ''),
    ('connection limit', r.rolconnlimit >= 0, r.rolconnlimit::text)
) as fact (trait, exists, value)
where fact.exists
union all
select distinct
    'role',
    pg_catalog.quote_ident(r.rolname),
    'member of ' || pg_catalog.quote_ident(g.rolname),
    '',
    null,
    null,
    null
from pg_catalog.pg_auth_members as m
inner join pg_catalog.pg_roles as r on r.oid = m.member
inner join pg_catalog.pg_roles as g on g.oid = m.roleid
