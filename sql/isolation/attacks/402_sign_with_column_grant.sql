-- 402_sign_with_column_grant
-- A user who was granted the columns approves in the name of another user.
-- safe: The trigger overwrites them with the caller and the current time.
-- source: sql/0007_guard_rows.sql (as the caller, at now())

-- as: owner
-- expect: done
grant update (approver_id, approved_at) on public.workflows to authenticated

-- as: ADMIN
-- expect: rows
update public.workflows
set status = 'approved', approver_id = :'owner', approved_at = '2001-01-01'
where org_id = :'org' and id = :'workflow'

-- as: owner
-- expect: nothing
select 1 from public.workflows
where org_id = :'org' and id = :'workflow'
    and (status, approver_id, approved_at) is distinct from ('approved', :'admin', now())
