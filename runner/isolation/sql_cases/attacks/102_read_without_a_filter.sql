-- 102_read_without_a_filter
-- A tenant selects all rows that are not in their own tenant.
-- safe: No row of another tenant is visible.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: members
-- expect: nothing, 42501
select 1 from :table where :key <> :'org' limit 1

-- Seeing no rows at all would prove nothing: their own rows must be visible.
-- as: one member
-- expect: own, nothing, 42501, 26000
select :key from :table limit 100
