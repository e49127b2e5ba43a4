-- 603_nobodys_account
-- A signed-in user without a row reads, writes, and looks for users who are not linked either.
-- safe: No account equals no account: nothing is seen, nothing is written.
-- source: a decision of this schema: no row, no answer, and null equals nothing
-- each: table

-- as: stranger, unlinked
-- expect: nothing, 42501
select 1 from :table limit 1

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
