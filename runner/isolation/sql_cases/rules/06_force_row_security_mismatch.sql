-- 06_force_row_security_mismatch
-- A table whose FORCE ROW LEVEL SECURITY does not match its owner's attributes.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (FORCE)
-- why: Forced under an owner without BYPASSRLS, the helpers, which run as the owner, see no users.

select
    format('table %s', t.title) as object,
    case
        when t.is_forced
            then format('it is forced, and its owner %I is subject to policies', o.rolname)
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
    and not t.is_child  -- access through the parent is subject to the parent's policies
    and t.is_forced <> (o.rolsuper or o.rolbypassrls)
    and (
        t.is_forced
        or exists (select from policy as p where p.table_oid = t.oid and p.is_for_tenants)
    )
