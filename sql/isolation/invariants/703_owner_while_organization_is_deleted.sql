-- 703_owner_while_organization_is_deleted
-- The organization's row is deleted and inserted again, or renamed, while its owners are demoted.
-- safe: Refused.
-- source: sql/0007_guard_rows.sql; https://www.postgresql.org/docs/current/sql-set-constraints.html

-- as: service_role, owner
-- expect: 23***
set constraints all deferred;
delete from public.organizations where id = :'org';
update public.users set roles = '{MEMBER}' where org_id = :'org';
insert into public.organizations (id, name) values (:'org', 'Home');
set constraints all immediate

-- as: service_role, owner
-- expect: 23***
set constraints all deferred;
update public.organizations set id = :'new_id' where id = :'org';
update public.users set roles = '{MEMBER}' where org_id = :'org';
update public.organizations set id = :'org' where id = :'new_id';
set constraints all immediate
