-- 206_write_with_more_privileges
-- A tenant who was granted more columns, and DELETE, merges, upserts and updates.
-- safe: Policies and guards refuse it even then.
-- source: https://www.postgresql.org/docs/current/sql-merge.html; CVE-2023-39418 (MERGE and UPDATE
--   policies)

-- Without these, PostgreSQL refuses the statements before it looks at any policy.
-- as: owner
-- expect: done
grant delete on public.projects to authenticated;
grant insert (id), update (org_id) on public.users to authenticated;
grant update (action) on public.audit_logs to authenticated

-- as: OWNER
-- expect: nothing, 42501
merge into public.projects as p
using (values (:'away.org')) as v (org)
on p.org_id = v.org
when matched then delete

-- CVE-2023-39418: new rows must also pass the check of UPDATE.
-- as: OWNER
-- expect: 42501
merge into public.users as u
using (values (:'org', :'other_member')) as v (org, id)
on u.org_id = v.org and u.id = v.id
when matched then update set org_id = :'away.org'

-- as: MEMBER, ADMIN
-- expect: 42501
insert into public.users (org_id, id, email, name)
values (:'org', :'other_member', :'new_id' || '@proof.invalid', 'Colleague')
on conflict (org_id, id) do update set roles = '{OWNER}'

-- as: OWNER, ADMIN, MEMBER
-- expect: nothing, 42501
update public.audit_logs set action = 'taken' where org_id = :'away.org'
