-- 07_owned_by_an_api_role
-- A schema, relation or function owned by an API role.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (owners bypass their
--   policies)
-- why: An owner bypasses a table's policies, and may drop them, or replace a function's code.

select
    owned.title as object,
    format('it is owned by %I', owner.rolname) as problem,
    format('alter %s owner to %s;', owned.title, o.name) as fix
from (
    select format('schema %I', n.nspname), n.nspowner
    from pg_namespace as n
    inner join inspected_schema as p on p.oid = n.oid
    union all
    select
        format(
            '%s %s',
            case kind
                when 'S' then 'sequence'
                when 'v' then 'view'
                when 'm' then 'materialized view'
                when 'f' then 'foreign table'
                else 'table'
            end,
            title
        ),
        owner
    from relation
    union all
    select format('routine %s', title), owner
    from routine
) as owned (title, owner)
inner join pg_roles as owner on owner.oid = owned.owner
cross join (
    select coalesce(min(quote_ident(t.name)), 'current_user') as name
    from table_owner as t
    where t.oid not in (select p.oid from platform_role as p)
        and t.oid not in (select r.oid from api_role as r)
) as o
where owner.oid in (select p.oid from platform_role as p)
    or owner.oid in (select r.oid from api_role as r)
