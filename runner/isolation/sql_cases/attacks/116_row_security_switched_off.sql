-- 116_row_security_switched_off
-- A tenant switches row-level security off for the session.
-- safe: An error instead of rows: the switch refuses what policies would have filtered.
-- source: https://www.postgresql.org/docs/current/runtime-config-client.html (row_security)
-- each: table

-- as: OWNER, MEMBER
-- expect: 42501
set local row_security = off;
select 1 from :table limit 1
