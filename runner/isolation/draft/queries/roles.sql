-- The roles that a request may run as: those that were granted something in the project's schemas and
-- own nothing there.

with schemas as (
    select n.oid, n.nspowner, n.nspacl
    from pg_catalog.pg_namespace as n
    where n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'
        and not exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                and d.objid = n.oid
                and d.deptype = 'e'
        )
),

relations as (
    select c.oid, c.relowner, c.relacl
    from pg_catalog.pg_class as c
    inner join schemas on schemas.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
),

granted as (
    select acl.grantee
    from schemas
    cross join lateral pg_catalog.aclexplode(schemas.nspacl) as acl
    where acl.privilege_type = 'USAGE'
    union
    select acl.grantee
    from relations
    cross join lateral pg_catalog.aclexplode(relations.relacl) as acl
    union
    select acl.grantee
    from relations
    inner join pg_catalog.pg_attribute as a on a.attrelid = relations.oid
    cross join lateral pg_catalog.aclexplode(a.attacl) as acl
)

select r.rolname::text as name, r.rolbypassrls as bypasses
from granted
inner join pg_catalog.pg_roles as r on r.oid = granted.grantee
where not r.rolsuper
    and r.rolname !~ '^pg_'
    and not exists (select from relations where relations.relowner = r.oid)
    and not exists (select from schemas where schemas.nspowner = r.oid)
order by r.rolname
