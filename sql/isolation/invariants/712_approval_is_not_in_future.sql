-- 712_approval_is_not_in_future
-- The platform sets the time of an approval in the future.
-- safe: Refused.
-- source: sql/0007_guard_rows.sql (approval)

-- as: service_role, owner
-- expect: 23514
update public.workflows
set status = 'approved', approver_id = :'admin', approved_at = now() + interval '1 day'
where org_id = :'org' and id = :'workflow'
