-- 102_read_without_a_filter
-- A tenant asks for everything that is not their own.
-- safe: No row: what is not theirs is not there.
-- source: sql/0009_enable_row_level_security.sql
-- each: table

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
select 1 from :table where :key <> :'org' limit 1

-- Less would be no proof either: they do see their own.
-- as: OWNER
-- expect: own
select :key from :table limit 100
