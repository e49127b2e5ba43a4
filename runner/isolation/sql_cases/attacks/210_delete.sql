-- 210_delete
-- A tenant deletes rows of another tenant, and of both.
-- safe: No row of another tenant is deleted.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: members, anonymous
-- expect: nothing, 42501
delete from :table where :key = :'away.org'
