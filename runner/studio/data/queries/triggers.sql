-- The triggers of one table, in firing order.
select
    t.tgname::text,
    pg_catalog.pg_get_triggerdef(t.oid, true),
    coalesce(
        pg_catalog.obj_description(t.oid, 'pg_trigger'),
        pg_catalog.obj_description(t.tgfoid, 'pg_proc'),
        ''
    ),
    t.tgenabled <> 'D'
from pg_catalog.pg_trigger as t
where t.tgrelid = %(table)s and not t.tgisinternal
order by t.tgname
