-- 11_two_permissive_policies
-- More than one permissive policy of a table for the same command and role.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (PERMISSIVE)
-- why: Permissive policies are combined with OR, so the most permissive one decides. A wider one is
--   found by trying.
-- level: warning

select
    format('table %s', p.table_title) as object,
    format(
        '%s for %s has %s permissive policies: %s',
        c.name,
        case role.oid when 0 then 'public' else role.oid::regrole::text end,
        count(*),
        string_agg(p.name, ', ' order by p.name)
    ) as problem,
    format(
        '-- compare policies %s of %s',
        string_agg(quote_ident(p.name), ', ' order by p.name), p.table_title
    ) as fix
from policy as p
cross join (values ('select', 'r'), ('insert', 'a'), ('update', 'w'), ('delete', 'd'))
    as c (name, letter)
cross join lateral (
    -- A policy for PUBLIC counts for each API role.
    select named.oid
    from unnest(p.roles) as named (oid)
    where named.oid <> 0
    union
    select r.oid
    from pg_roles as r
    where 0 = any (p.roles)
        and (r.oid in (select p.oid from platform_role as p) or r.oid in (select a.oid from api_role as a))
) as role
where p.is_permissive
    and p.command in ('*', c.letter)
group by p.table_oid, p.table_title, c.name, role.oid
having count(*) > 1
