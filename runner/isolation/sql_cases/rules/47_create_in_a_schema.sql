-- 47_create_in_a_schema
-- An API role that may create objects in a schema, or schemas in the database.
-- source: CVE-2018-1058; https://www.postgresql.org/docs/current/ddl-schemas.html (usage patterns)
-- why: A table, function or operator that shadows the real one is run by other roles.

select distinct
    format('schema %I', n.nspname) as object,
    format('%s may create objects in it', given.grantee) as problem,
    format('revoke create on schema %I from %s;', n.nspname, given.grantee) as fix
from pg_namespace as n
cross join (
    select a.oid, a.name
    from api_role as a
    union all
    select s.oid, s.name
    from platform_role as s
) as r
cross join lateral (
    select case when exists (
        select from aclexplode(n.nspacl) as acl
        where acl.grantee = 0 and acl.privilege_type = 'CREATE'
    ) then 'public' else quote_ident(r.name) end as grantee
) as given
where n.nspname !~ '^pg_(toast|temp)'
    and has_schema_privilege(r.oid, n.oid, 'create')
    and (r.oid not in (select p.oid from platform_role as p) or n.oid in (select p.oid from inspected_schema as p))
union all
select
    format('database %I', current_database()) as object,
    format('%s may create schemas in it', r.name) as problem,
    format('revoke create on database %I from public, %I;', current_database(), r.name) as fix
from api_role as r
where has_database_privilege(r.oid, current_database(), 'create')
