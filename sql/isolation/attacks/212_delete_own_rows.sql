-- 212_delete_own_rows
-- A tenant deletes rows of their own or another organization.
-- safe: Refused: no API role may delete.
-- source: a decision of this schema: no DELETE for API roles
-- each: table

-- as: OWNER, ADMIN, MEMBER, anon
-- expect: 42501
delete from :table where :key = :'away.org'

-- as: OWNER, ADMIN, MEMBER, anon
-- expect: 42501
delete from :table where :key = :'org'
