-- 210_delete
-- A tenant deletes rows, their own or others'.
-- safe: Refused: nothing that was acted on is deleted.
-- source: a decision of this schema: no DELETE for API roles
-- each: table

-- as: OWNER, ADMIN, MEMBER, anon
-- expect: 42501
delete from :table where :key = :'away.org'

-- as: OWNER, ADMIN, MEMBER, anon
-- expect: 42501
delete from :table where :key = :'org'
