-- 609_account_without_tenant
-- A signed-in account that belongs to no tenant reads, inserts and updates the rows of tenants.
-- safe: No row is visible, and none is written.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: strangers
-- expect: nothing, 42501
select 1 from :table where :key in (:'org', :'away.org') limit 1

-- as: strangers
-- expect: 42501
insert into :table (:key) values (:'org')

-- as: strangers
-- expect: nothing, 42501
update :table set :key = :key where :key = :'org'
