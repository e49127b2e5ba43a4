-- 10_policy_for_every_role
-- A permissive policy for PUBLIC, for anon, or for a role that is not an API role.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (TO)
-- why: Without TO a policy applies to PUBLIC: to anon, too, and to roles created later.

select
    p.title as object,
    format('it is for %s', coalesce(r.rolname, 'public')) as problem,
    format('alter policy %I on %s to authenticated;', p.name, p.table_title) as fix
from policy as p
cross join lateral unnest(p.roles) as named (oid)
left join pg_roles as r on r.oid = named.oid
where p.is_permissive
    and coalesce(r.rolname, 'public') <> 'service_role'
    and (
        coalesce(r.rolname, 'anon') = 'anon'
        or r.oid not in (select a.oid from api_role as a)
    )
