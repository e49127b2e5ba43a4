-- 44_grant_option
-- A privilege that an API role may grant to others.
-- source: https://www.postgresql.org/docs/current/sql-grant.html (WITH GRANT OPTION)
-- why: It could grant its privileges to others, and such grants may outlast its own.

select
    format('relation %s', p.title) as object,
    format('%s may grant %s', p.grantee_name, p.right_title) as problem,
    format('revoke grant option for %s on %s from %s cascade;',
        p.right_title, p.title, p.grantee_name) as fix
from privilege as p
where p.is_grantable
    and (p.grantee in (select p.oid from platform_role as p) or p.grantee in (select r.oid from api_role as r))
union all
select
    format('function %s', f.title) as object,
    format('%s may grant execute', g.rolname) as problem,
    format('revoke grant option for execute on routine %s from %I cascade;', f.title, g.rolname)
        as fix
from routine as f
cross join lateral aclexplode(f.acl) as acl
inner join pg_roles as g on g.oid = acl.grantee
where acl.is_grantable
    and acl.grantee <> f.owner
    and (g.oid in (select p.oid from platform_role as p) or g.oid in (select r.oid from api_role as r))
