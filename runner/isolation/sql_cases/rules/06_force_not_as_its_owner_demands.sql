-- 06_force_not_as_its_owner_demands
-- A table that is not forced though its owner passes anyway, or forced though its owner does not.
-- source: a decision of this schema: FORCE exactly when the table's owner is superuser or BYPASSRLS
-- why: Forced under a plain owner the helpers, which run as the owner, see no users at all.

select
    format('table %s', t.title) as object,
    case
        when t.is_forced
            then format('it is forced, and its owner %I is held by policies', o.rolname)
        else format('it is not forced, and its owner %I is superuser or has BYPASSRLS', o.rolname)
    end as problem,
    format(
        'alter table %s %sforce row level security;',
        t.title,
        case when t.is_forced then 'no ' end
    ) as fix
from tenant_table as t
inner join pg_roles as o on o.oid = t.owner
where t.is_secured
    and not t.is_part  -- whoever comes through the parent is held by what the parent says
    and t.is_forced <> (o.rolsuper or o.rolbypassrls)
