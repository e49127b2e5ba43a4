-- 736_one_address_one_account
-- A second user is given somebody's address or account; an address is written in capitals.
-- safe: Refused, on the whole platform.
-- source: sql/0003_create_organizations_and_users.sql (users)

-- as: service_role, owner
-- expect: 23505
insert into public.users (org_id, email, name)
values (:'org', :'away.member' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23505
update public.users set auth_user_id = :'away.member_uuid'
where org_id = :'org' and id = :'unlinked'

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name) values (:'org', 'New@proof.invalid', 'New')
