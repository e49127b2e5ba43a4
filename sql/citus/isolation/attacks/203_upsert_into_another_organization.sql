-- 203_upsert_into_another_organization
-- A tenant inserts a row that conflicts with another organization's row, in order to update that
--   one.
-- safe: Refused, or nothing is done; the row is unchanged.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (ON CONFLICT);
--   CVE-2017-15099

-- as: OWNER
-- expect: 42501
insert into public.users (org_id, email, name)
values (:'away.org', :'new_id' || '@proof.invalid', 'Taken')
on conflict (org_id, id) do update set name = 'Taken'

-- The key of addresses is no index that an upsert could take.
-- as: OWNER, service_role
-- expect: 42P10
insert into public.users (org_id, email, name)
values (:'org', :'away.other_member' || '@proof.invalid', 'Taken')
on conflict (email) do update set name = 'Taken'

-- Refused at the end of the transaction, by app.accounts.
-- as: OWNER
-- expect: nothing, 42501, 23503, 23505
insert into public.users (org_id, email, name)
values (:'org', :'away.other_member' || '@proof.invalid', 'Taken')
on conflict do nothing
returning org_id

-- as: owner
-- expect: nothing
select 1 from public.users where org_id = :'away.org' and name = 'Taken'
