-- 116_disable_row_security
-- A tenant disables row-level security for the session.
-- safe: An error instead of rows: with row_security off, a query that policies would filter fails.
-- source: https://www.postgresql.org/docs/current/runtime-config-client.html (row_security)
-- each: table

-- as: some members
-- expect: 42501
set local row_security = off;
select 1 from :table limit 1
