-- 601_anon
-- A request that is not signed in reads, writes, and calls the functions of signed-in users.
-- safe: Refused: anon has no privileges.
-- source: sql/0009_enable_row_level_security.sql
-- each: table

-- as: anon
-- expect: 42501
select 1 from :table limit 1

-- as: anon
-- expect: 42501
select count(*) from :table

-- as: anon
-- expect: 42501
insert into :table (:key) values (:'org')

-- as: anon
-- expect: 42501
update :table set :key = :key where :key = :'org'

-- As with a token that names a user, but no role.
-- as: anon
-- expect: 42501
select set_config('request.jwt.claims', jsonb_build_object('sub', :'owner_uuid')::text, true);
select 1 from :table limit 1

-- as: anon
-- expect: 42501
select app.caller_org()

-- as: anon
-- expect: 42501
select app.new_id()
