-- 12_restrictive_policy_missing
-- A table with tenant policies, but without the one restrictive policy for all of them.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/sql-createpolicy.html (RESTRICTIVE)
-- why: It limits any later policy that is too permissive to one organization.

-- Citus does not support restrictive policies: there the permissive ones must hold on their own.
select
    format('table %s', t.title) as object,
    case
        when other.names is null then format('it has no restrictive policy for %s', tenant.role)
        else format(
            'none of these is "for all to %s using (%I = (select app.caller_org()))": %s',
            tenant.role, t.key, other.names
        )
    end as problem,
    format(
        'drop policy if exists tenant_isolation on %1$s; '
        'create policy tenant_isolation on %1$s as restrictive for all to %2$s '
        'using (%3$I = (select app.caller_org())) with check (%3$I = (select app.caller_org()));',
        t.title, tenant.role, t.key
    ) as fix
from tenant_table as t
cross join lateral (
    select distinct named.oid, coalesce(quote_ident(r.rolname), 'public') as role
    from policy as p
    cross join lateral unnest(p.roles) as named (oid)
    left join pg_roles as r on r.oid = named.oid
    where p.table_oid = t.oid
        and p.is_permissive
        and (named.oid = 0 or named.oid in (select a.oid from api_role as a))
) as tenant
cross join lateral (
    select string_agg(p.name, ', ' order by p.name) as names
    from policy as p
    where p.table_oid = t.oid and not p.is_permissive
) as other
where not exists (select from pg_extension as e where e.extname = 'citus')
    and not exists (
        select
        from policy as p
        inner join condition as c on c.oid = p.oid
        where p.table_oid = t.oid
            and not p.is_permissive
            and p.command = '*'
            and p.roles && array[tenant.oid, 0::oid]
        group by p.oid
        having bool_and(
            c.text = format('(%I = ( SELECT app.caller_org() AS caller_org))', t.key)
        )
        and bool_or(c.clause = 'using')
    )
