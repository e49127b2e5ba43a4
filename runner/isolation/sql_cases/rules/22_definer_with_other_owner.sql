-- 22_definer_with_other_owner
-- A SECURITY DEFINER function of ours whose owner does not own the tables.
-- source: https://www.postgresql.org/docs/current/sql-createfunction.html (writing SECURITY DEFINER
--   functions safely)
-- why: It runs with that role's rights: more than intended, or, under policies, too few to see
--   rows.

select
    format('function %s', f.title) as object,
    format('it runs as %I, who does not own the tables', pg_get_userbyid(f.owner)) as problem,
    format('alter routine %s owner to %s;', f.title, o.name) as fix
from routine as f
cross join (
    select coalesce(min(quote_ident(t.name)), 'current_user') as name
    from table_owner as t
    where t.oid not in (select p.oid from platform_role as p)
        and t.oid not in (select r.oid from api_role as r)
) as o
where f.is_definer
    and f.owner not in (select t.oid from table_owner as t)
