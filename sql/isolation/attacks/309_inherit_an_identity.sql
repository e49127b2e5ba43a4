-- 309_inherit_an_identity
-- The setting of a single claim, as an older PostgREST sent it, is left in a pooled session.
-- safe: The claims of the next request decide, also those that name no user.
-- platform: auth.uid(): it reads this setting before the claims. PostgREST 12 and later does not set
--   it. Set it in no session yourself, or rule it out with db-pre-request (docs/isolation.md)
-- source: https://docs.postgrest.org/en/stable/references/transactions.html (legacy settings)

-- as: MEMBER
-- expect: nothing
select set_config('request.jwt.claim.sub', :'away.owner_uuid', true);
select set_config('request.jwt.claims', current_setting('request.jwt.claims'), true);
select 1 from public.projects where org_id = :'away.org'

-- as: anon
-- expect: 42501
select set_config('request.jwt.claim.sub', :'away.owner_uuid', true);
select set_config('request.jwt.claims', current_setting('request.jwt.claims'), true);
select 1 from public.projects

-- as: MEMBER
-- expect: nothing
select set_config('request.jwt.claim.sub', :'away.owner_uuid', true);
select set_config('request.jwt.claims', '{"role": "authenticated"}', true);
select 1 from public.projects
