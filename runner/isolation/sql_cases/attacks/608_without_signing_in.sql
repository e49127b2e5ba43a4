-- 608_without_signing_in
-- A request that is not signed in reads, inserts and updates the rows of tenants.
-- safe: No row is visible, and none is written.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- each: table

-- as: anonymous
-- expect: nothing, 42501
select 1 from :table where :key in (:'org', :'away.org') limit 1

-- as: anonymous
-- expect: 42501
insert into :table (:key) values (:'org')

-- as: anonymous
-- expect: nothing, 42501
update :table set :key = :key where :key = :'org'
