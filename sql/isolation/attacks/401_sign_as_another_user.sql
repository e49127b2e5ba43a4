-- 401_sign_as_another_user
-- A user approves in the name of another user, or backdates an approval.
-- safe: Refused: the database sets who approved, and when.
-- source: sql/0007_guard_rows.sql (approval)

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set status = 'approved', approver_id = :'other_owner'
where org_id = :'org' and id = :'workflow'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set status = 'approved', approved_at = '2001-01-01'
where org_id = :'org' and id = :'workflow'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
update public.workflows set approver_id = :'admin' where org_id = :'org'

-- as: OWNER, ADMIN, MEMBER
-- expect: 42501
insert into public.workflows (org_id, project_id, gate, status, approver_id)
values (:'org', :'project', 'G3', 'approved', :'other_owner')
