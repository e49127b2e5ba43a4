-- 106_read_a_sample
-- A tenant samples the table, by page and by row.
-- safe: The sample contains no row of another tenant.
-- source: https://www.postgresql.org/docs/current/sql-select.html (TABLESAMPLE)
-- each: table

-- About a hundred pages, however large the table.
-- as: some members
-- expect: nothing, 42501
select 1
from :table tablesample system
    (least(100, 10000.0 / greatest(1, pg_relation_size(':table') / 8192)))
where :key <> :'org'
limit 1

-- as: some members
-- expect: nothing, 42501
select 1
from :table tablesample bernoulli
    (least(100, 10000.0 / greatest(1, pg_relation_size(':table') / 8192)))
where :key <> :'org' and pg_relation_size(':table') < 8192 * 1000
limit 1
