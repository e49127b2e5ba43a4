-- 54_api_role_membership
-- An API role that is a member of another role.
-- source: https://www.postgresql.org/docs/current/role-membership.html; predefined-roles.html
-- why: It has, or can acquire, that role's rights: pg_read_all_data reads all, the owner bypasses
--   policies.

select
    format('role %I', r.rolname) as object,
    format('it is a member of %I%s', s.rolname, ', and through it of ' || beyond.names) as problem,
    format(
        'revoke %I from %I;%s', s.rolname, r.rolname, '  -- it includes ' || beyond.names
    ) as fix
from pg_roles as r
inner join (select distinct m.member, m.step from membership as m) as first on first.member = r.oid
inner join pg_roles as s on s.oid = first.step
cross join lateral (
    select string_agg(distinct quote_ident(g.rolname), ', ') as names
    from membership as m
    inner join pg_roles as g on g.oid = m.roleid
    where m.member = r.oid and m.step = first.step and m.roleid <> m.step
) as beyond
where r.oid in (select p.oid from platform_role as p)
    or r.oid in (select a.oid from api_role as a)
