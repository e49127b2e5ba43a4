-- 402_sign_were_it_granted
-- An approval is signed with another's name, had somebody granted the columns.
-- safe: The guard writes the caller and the time over it.
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
