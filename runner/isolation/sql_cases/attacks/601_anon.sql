-- 601_anon
-- Whoever has not signed in reads, writes, and calls what signed-in users call.
-- safe: Refused: anon has nothing at all.
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

-- As a token without a role, but with a user, would bring them in.
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
