-- 736_email_and_account_are_unique
-- A second user is given an existing e-mail address or account, or the address in another spelling.
-- safe: Refused, across all organizations.
-- source: sql/0003_create_organizations_and_users.sql (users)

-- By app.accounts, at the end of the transaction.
-- as: service_role, owner
-- expect: 23503, 23505
insert into public.users (org_id, email, name)
values (:'org', :'away.other_member' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23503, 23505
update public.users set auth_user_id = :'away.member_uuid'
where org_id = :'org' and id = :'unlinked'

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name) values (:'org', 'New' || :'new_id' || '@proof.invalid', 'New')

-- In full width, with a ligature, a space that is none, and characters without width.
-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', e'\uff41' || :'new_id' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', e'\ufb01' || :'new_id' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', e'\u00a0' || :'new_id' || '@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', :'away.member' || e'\u200b@proof.invalid', 'New')

-- as: service_role, owner
-- expect: 23514
insert into public.users (org_id, email, name)
values (:'org', :'away.member' || e'\ufe0f@proof.invalid', 'New')
