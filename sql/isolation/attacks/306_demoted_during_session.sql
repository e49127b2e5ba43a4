-- 306_demoted_during_session
-- An ADMIN who was made MEMBER keeps using the same token.
-- safe: The change applies from the next statement on.
-- source: a decision of this schema: decided from the users row, never from claims

-- as: ADMIN
-- expect: rows
update public.projects set name = 'Renamed' where org_id = :'org' and id = :'project'

-- as: OWNER
-- expect: rows
update public.users set roles = '{MEMBER}' where org_id = :'org' and id = :'admin'

-- as: ADMIN
-- expect: nothing, 42501
update public.projects set name = 'Again' where org_id = :'org' and id = :'project'

-- as: ADMIN
-- expect: nothing, 42501
select 1 from public.audit_logs limit 1

-- as: ADMIN
-- expect: 42501
update public.workflows set status = 'approved' where org_id = :'org' and id = :'workflow'
