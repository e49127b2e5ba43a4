-- 117_query_inside_function
-- A tenant passes a query to a server function that executes it.
-- safe: It runs with the tenant's role, under its policies.
-- source: https://www.postgresql.org/docs/current/functions-xml.html; textsearch-features.html
--   (ts_stat)
-- each: table

-- as: some members
-- expect: nothing, 0A000, 42501
select 1
where query_to_xml(
    format('select * from %s where :key = %L limit 1', ':table', :'away.org'), true, false, ''
)::text ~ :'away.org'

-- as: some members
-- expect: nothing, 42501
select 1
from ts_stat(
    format(
        'select to_tsvector(''simple'', t::text) from %s as t where :key = %L limit 1',
        ':table',
        :'away.org'
    )
)
