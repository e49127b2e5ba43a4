-- 307_unlinked_during_session
-- A user whose account was unlinked keeps using a token that is still valid.
-- safe: They have no access from the next statement on.
-- source: a decision of this schema: unlinking ends access at once, even if a token is still valid
-- each: table

-- as: service_role
-- expect: rows
update public.users set auth_user_id = null where org_id = :'org' and id in (:'member', :'owner')

-- as: OWNER, MEMBER, unlinked
-- expect: nothing, 42501
select 1 from :table limit 1

-- as: MEMBER
-- expect: 42501
insert into public.workflows (org_id, project_id, gate) values (:'org', :'project', 'G3')
