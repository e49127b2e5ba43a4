-- 102_read_without_a_filter
-- A tenant selects all rows that are not in their own organization.
-- safe: No row of another organization is visible.
-- source: sql/0009_enable_row_level_security.sql
-- each: table

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
select 1 from :table where :key <> :'org' limit 1

-- Seeing no rows at all would prove nothing: their own rows must be visible.
-- as: OWNER
-- expect: own
select :key from :table limit 100
