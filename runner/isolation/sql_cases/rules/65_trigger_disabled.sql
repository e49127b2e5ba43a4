-- 65_trigger_disabled
-- A trigger of ours on a tenant table, or of one of its foreign keys, that does not fire.
-- source: https://www.postgresql.org/docs/current/sql-altertable.html (DISABLE TRIGGER)
-- why: A foreign key with disabled triggers is not enforced, although pg_constraint still lists it.

select distinct
    case
        when k.conname is null then format('trigger %I on %s', g.tgname, t.title)
        else format('constraint %I on %s', k.conname, k.conrelid::regclass)
    end as object,
    format(
        '%s: %s',
        t.title,
        case g.tgenabled when 'D' then 'disabled' else 'fires on replicas only' end
    ) as problem,
    format('alter table %s enable trigger all;', t.title)
    || case when k.conname is null then '' else '  -- as a superuser' end as fix
from pg_trigger as g
inner join tenant_table as t on t.oid = g.tgrelid
inner join pg_proc as f on f.oid = g.tgfoid
inner join pg_namespace as n on n.oid = f.pronamespace
left join pg_constraint as k on k.oid = g.tgconstraint and g.tgisinternal
where g.tgenabled in ('D', 'R')
    and (g.tgisinternal or n.oid in (select p.oid from inspected_schema as p where not p.exposed))
