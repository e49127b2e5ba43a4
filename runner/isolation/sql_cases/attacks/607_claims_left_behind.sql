-- 607_claims_left_behind
-- A client leaves its claims in a pooled connection, which serves the next request.
-- safe: The claims of the next request apply; without any, there is no user.
-- source: sql/0009_enable_row_level_security.sql;
--   https://docs.postgrest.org/en/stable/references/transactions.html

-- as: OWNER of away
-- expect: rows
select set_config('request.jwt.claims', current_setting('request.jwt.claims'), false);
select 1 from public.projects limit 1

-- as: MEMBER
-- expect: own
select distinct org_id from public.projects

-- as: anon
-- expect: 42501
select 1 from public.projects limit 1

-- as: OWNER of away
-- expect: nothing
select set_config('request.jwt.claims', '', true);
select 1 from public.projects limit 1
