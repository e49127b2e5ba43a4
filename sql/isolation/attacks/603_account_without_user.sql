-- 603_account_without_user
-- A signed-in account without a users row reads, writes, and looks for users without an account.
-- safe: A missing account matches no user: nothing is visible, nothing is written.
-- source: a decision of this schema: without a users row there is no access, and null equals
--   nothing

-- as: stranger, unlinked
-- expect: nothing, 42501
select set_config('request.jwt.claims', '{"sub": null}', true);
select 1 from public.users where auth_user_id is null limit 1

-- as: stranger, unlinked
-- expect: 42501
insert into public.projects (org_id, name) values (:'org', 'Planted')

-- as: stranger, unlinked
-- expect: nothing, 42501
update public.users set name = 'Me' where org_id = :'org' and auth_user_id is null

-- The id of a users row is not that of an account.
-- as: MEMBER
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', jsonb_build_object('sub', :'me')::text, true);
select 1 from public.projects limit 1
