-- 307_unlinked_meanwhile
-- A user whose account was unlinked goes on with a token that is still alive.
-- safe: They are nobody from the next statement on.
-- source: a decision of this schema: unlinking ends access at once, whatever token is still alive
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
