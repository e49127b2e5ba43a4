-- 117_a_query_inside_a_function
-- A tenant hands a query to a function of the server that runs it for them.
-- safe: It is run as them, under their policies.
-- source: https://www.postgresql.org/docs/current/functions-xml.html; textsearch-features.html
--   (ts_stat)
-- each: table

-- as: OWNER, MEMBER
-- expect: nothing, 0A000, 42501
select 1
where query_to_xml(
    format('select * from :table where :key = %L limit 1', :'away.org'), true, false, ''
)::text ~ :'away.org'

-- as: OWNER, MEMBER
-- expect: nothing, 42501
select 1
from ts_stat(
    format(
        'select to_tsvector(''simple'', t::text) from :table as t where :key = %L limit 1',
        :'away.org'
    )
)
