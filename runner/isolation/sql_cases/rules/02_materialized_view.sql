-- 02_materialized_view
-- A materialized view in an exposed schema.
-- source: https://www.postgresql.org/docs/current/sql-creatematerializedview.html
-- why: It contains rows of every tenant, and cannot have policies.

select
    format('materialized view %s', m.title) as object,
    'a materialized view cannot have policies' as problem,
    format(
        'alter materialized view %s set schema %I;',
        m.title, coalesce(:'internal_schemas'::jsonb ->> 0, 'private')
    ) as fix
from relation as m
where m.exposed
    and m.kind = 'm'
