-- 723_no_change_no_log_entry
-- An update changes nothing, or only updated_at.
-- safe: No audit row is added.
-- source: sql/0008_record_audit.sql (audit)

-- as: service_role
-- expect: rows
update public.projects set id = id, updated_at = now() where org_id = :'org' and id = :'project'

-- as: service_role
-- expect: rows
update public.organizations set name = name where id = :'org'

-- as: service_role
-- expect: rows
update public.users set updated_at = now() where org_id = :'org' and id = :'other_member'

-- as: owner
-- expect: nothing
select 1 from public.audit_logs
where org_id = :'org' and action = 'update'
    and target_id in (:'project', :'org', :'other_member')
