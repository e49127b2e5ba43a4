-- 308_write_the_price
-- An OWNER writes what they pay for, and what the platform allows them.
-- safe: Refused: these columns are the platform's.
-- source: runner/isolation/matrix/permissions.toml (organizations: name, settings)

-- as: OWNER, ADMIN
-- expect: 42501
update public.organizations set billing_plan = 'ENTERPRISE' where id = :'org'

-- as: OWNER, ADMIN
-- expect: 42501
update public.organizations set limits = jsonb_build_object('projects', 1000) where id = :'org'
