-- The tables and materialized views of users, by schema and name, with a number that changes when
-- this session changes their rows: the file on disk and the rows written so far.
select
    n.nspname::text,
    c.relname::text,
    concat_ws(
        ' ',
        pg_catalog.pg_relation_filenode(c.oid),
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)
    )
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'm')
    and n.nspname !~ '^pg_'
    and n.nspname not in ('information_schema', 'yoyo')
