-- 308_change_billing
-- An OWNER changes their billing plan and limits.
-- safe: Refused: only the platform writes these columns.
-- source: sql/isolation.toml (organizations: name, settings)

-- as: OWNER, ADMIN
-- expect: 42501
update public.organizations set billing_plan = 'ENTERPRISE' where id = :'org'

-- as: OWNER, ADMIN
-- expect: 42501
update public.organizations set limits = jsonb_build_object('projects', 1000) where id = :'org'
