-- 305_forge_claims
-- A MEMBER's token claims more than their users row says: another organization, another role.
-- safe: Only sub is trusted; everything else is decided from the users row.
-- source: sql/0009_enable_row_level_security.sql;
--   https://supabase.com/docs/guides/database/database-linter?lint=0015_rls_references_user_metadata

-- as: MEMBER
-- expect: own
select set_config('request.jwt.claims', jsonb_build_object(
    'sub', :'member_uuid', 'role', 'service_role', 'org_id', :'away.org', 'roles', '["OWNER"]',
    'app_metadata', jsonb_build_object('org_id', :'away.org', 'roles', '["OWNER"]'),
    'user_metadata', jsonb_build_object('roles', '["OWNER"]'), 'is_admin', true
)::text, true);
select distinct org_id from public.projects

-- as: MEMBER
-- expect: nothing, 42501
select set_config('request.jwt.claims', jsonb_build_object(
    'sub', :'member_uuid', 'role', 'service_role', 'user_role', 'OWNER', 'roles', '["OWNER"]'
)::text, true);
update public.projects set name = 'Taken' where org_id = :'org'

-- as: MEMBER
-- expect: nothing, 42501
select set_config('request.jwt.claims', jsonb_build_object(
    'sub', :'member_uuid', 'role', 'service_role', 'app_metadata', '{"roles": ["OWNER"]}'::jsonb
)::text, true);
select 1 from public.audit_logs limit 1

-- Their own organization, with a role that they do not have.
-- as: MEMBER
-- expect: 42501
select set_config('request.jwt.claims', jsonb_build_object(
    'sub', :'member_uuid', 'role', 'authenticated', 'org_id', :'org', 'roles', '["OWNER"]',
    'app_metadata', jsonb_build_object('org_id', :'org', 'roles', '["OWNER"]'),
    'user_metadata', jsonb_build_object('org_id', :'org', 'roles', '["OWNER"]')
)::text, true);
insert into public.projects (org_id, name) values (:'org', 'By claim')
