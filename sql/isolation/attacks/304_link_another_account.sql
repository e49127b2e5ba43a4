-- 304_link_another_account
-- A tenant changes which account a user signs in with, or their e-mail address.
-- safe: Refused, also for the OWNER: only the platform links accounts.
-- source: a decision of this schema: never auth_user_id, never email once written

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.users set auth_user_id = :'new_uuid' where org_id = :'org' and id = :'other_owner'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.users set auth_user_id = null where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.users set email = :'new_id' || '@proof.invalid' where org_id = :'org' and id = :'other_owner'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.users (org_id, email, name, auth_user_id)
values (:'org', :'new_id' || '@proof.invalid', 'Me', :'new_uuid')
