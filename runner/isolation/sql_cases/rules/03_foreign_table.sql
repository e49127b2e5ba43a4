-- 03_foreign_table
-- A foreign table in an exposed schema.
-- source: https://www.postgresql.org/docs/current/sql-createforeigntable.html
-- why: Row-level security cannot be enabled on it; the other server sees one user for all tenants.

select
    format('foreign table %s', f.title) as object,
    'a foreign table cannot have policies' as problem,
    format(
        'alter foreign table %s set schema %I;',
        f.title, coalesce(:'internal_schemas'::jsonb ->> 0, 'private')
    ) as fix
from relation as f
where f.exposed
    and f.kind = 'f'
