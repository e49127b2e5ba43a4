-- How the current role may use some tables.
select
    c.oid::bigint,
    pg_catalog.row_security_active(c.oid),
    pg_catalog.has_schema_privilege(c.relnamespace, 'usage'),
    pg_catalog.has_any_column_privilege(c.oid, 'select')
from pg_catalog.pg_class as c
where c.oid = any (%(tables)s::oid[])
