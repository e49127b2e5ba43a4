-- 101_read_by_key
-- A tenant selects another organization's rows by its id.
-- safe: No row of any table, for any role.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
select * from :table where :key = :'away.org' limit 1
