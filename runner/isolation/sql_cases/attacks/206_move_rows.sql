-- 206_move_rows
-- A tenant moves rows to another tenant, and rows of others to their own.
-- safe: Refused: they may not write the column that holds the tenant.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html (grants by column)
-- each: table

-- as: members
-- expect: 42501
update :table set :key = :'away.org' where :key = :'org'

-- as: members
-- expect: 42501
update :table set :key = :'org' where :key = :'away.org'

-- as: some members
-- expect: 42501
update :table set :key = :'org' where :key in (:'org', :'away.org')
