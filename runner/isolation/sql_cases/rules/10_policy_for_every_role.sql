-- 10_policy_for_every_role
-- A permissive policy for PUBLIC, or for requests that are not signed in.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (TO)
-- why: Without TO a policy applies to PUBLIC: to every role, also to to roles created later.

select
    p.title as object,
    format('it is for %s', coalesce(r.rolname, 'public')) as problem,
    format('alter policy %I on %s to %s;', p.name, p.table_title, member.names) as fix
from policy as p
cross join (
    select string_agg(quote_ident(a.name), ', ' order by a.name) as names
    from actor_role as a
    where a.kind = 'member'
) as member
cross join lateral unnest(p.roles) as named (oid)
left join pg_roles as r on r.oid = named.oid
where p.is_permissive
    and named.oid not in (select p.oid from platform_role as p)
    and (
        named.oid = 0
        or r.oid in (select a.oid from actor_role as a where a.kind = 'anonymous')
    )
