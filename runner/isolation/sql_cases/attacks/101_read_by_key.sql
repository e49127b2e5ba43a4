-- 101_read_by_key
-- A tenant selects another tenant's rows by its id.
-- safe: No row of any table, for any role.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: members
-- expect: nothing, 42501
select * from :table where :key = :'away.org' limit 1
