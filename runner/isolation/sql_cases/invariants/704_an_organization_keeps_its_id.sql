-- 704_an_organization_keeps_its_id
-- An organization's id is changed, or given again to another one.
-- safe: Refused: what was written down under an id stays that organization's.
-- source: sql/0008_record_audit.sql (ids, audit)

-- as: service_role, owner
-- expect: 23***
update public.organizations set id = :'new_id' where id = :'org'

-- as: service_role, owner
-- expect: 23514
set constraints all deferred;
update public.organizations set id = :'new_id' where id = :'org'

-- Nor one that nothing refers to but the log.
-- as: service_role, owner
-- expect: 23514
set constraints all deferred;
insert into public.organizations (id, name) values (:'new_id', 'Another');
update public.organizations set id = :'away.new_id' where id = :'new_id'

-- as: service_role, owner
-- expect: 23***
set constraints all deferred;
delete from public.organizations where id = :'org';
insert into public.organizations (id, name) values (:'org', 'Another');
set constraints all immediate
