-- 46_internal_schema_open
-- A privilege on the migration tables, or on a schema that is internal, that a role does not need.
-- source: internal schemas: usage for roles that sign in only; yoyo: no grant to any API role
-- why: The migration tables reveal the schema's history; writing to them decides what is applied
--   next.

select
    format('schema %I', n.nspname) as object,
    format('%s may use it', grantee.name) as problem,
    format('revoke all on schema %I from %s;', n.nspname, grantee.name) as fix
from pg_namespace as n
inner join inspected_schema as p on p.oid = n.oid and not p.exposed
cross join lateral aclexplode(n.nspacl) as acl
left join pg_roles as g on g.oid = acl.grantee
cross join lateral (select coalesce(quote_ident(g.rolname), 'public') as name) as grantee
where acl.privilege_type = 'USAGE'
    and acl.grantee <> n.nspowner
    and (
        acl.grantee = 0
        or g.oid in (select p.oid from platform_role as p) and n.nspname = 'yoyo'
        or (
            g.oid in (select r.oid from api_role as r)
            and (
                n.nspname = 'yoyo'
                or g.oid not in (select a.oid from actor_role as a where a.kind = 'member')
            )
        )
    )
union all
select
    format('relation %s', p.title) as object,
    format('%s may %s', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
inner join api_role as r
    on r.oid = p.grantee
    and r.oid not in (select a.oid from actor_role as a where a.kind = 'anonymous')
where not p.exposed
