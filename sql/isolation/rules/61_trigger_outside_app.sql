-- 61_trigger_outside_app
-- A trigger on a tenant table that runs a function outside schema app.
-- source: https://www.postgresql.org/docs/current/sql-createtrigger.html (TRIGGER privilege)
-- why: It sees the rows of every organization as the role that writes them, including service_role.

select
    format('trigger %I on %s', g.tgname, t.title) as object,
    format('it runs %s', g.tgfoid::regprocedure) as problem,
    format('drop trigger %I on %s;', g.tgname, t.title) as fix
from pg_trigger as g
inner join tenant_table as t on t.oid = g.tgrelid
inner join pg_proc as f on f.oid = g.tgfoid
inner join pg_namespace as n on n.oid = f.pronamespace
where not g.tgisinternal
    and n.nspname <> 'app'
