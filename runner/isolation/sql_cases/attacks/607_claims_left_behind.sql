-- 607_claims_left_behind
-- A client leaves its claims in a pooled connection, which serves the next request.
-- safe: The claims of the next request apply; without any, there is no user.
-- source: https://docs.postgrest.org/en/stable/references/transactions.html
-- setting: request.jwt.claims
-- each: table

-- as: one member of away
-- expect: rows, nothing, 42501
select set_config('request.jwt.claims', current_setting('request.jwt.claims'), false);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: own, nothing, 42501, 26000
select distinct :key from :table

-- as: anonymous
-- expect: nothing, 42501
select 1 from :table where :key is not null limit 1

-- as: one member of away
-- expect: nothing, 42501
select set_config('request.jwt.claims', '', true);
select 1 from :table where :key is not null limit 1
