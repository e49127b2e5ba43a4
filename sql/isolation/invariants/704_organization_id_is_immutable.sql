-- 704_organization_id_is_immutable
-- An organization's id is changed, or reused for another one.
-- safe: Refused: audit rows of an id always belong to the same organization.
-- source: sql/0008_record_audit.sql (ids, audit)

-- as: service_role, owner
-- expect: 23***
update public.organizations set id = :'new_id' where id = :'org'

-- as: service_role, owner
-- expect: 23514, 23503, 23001
set constraints all deferred;
update public.organizations set id = :'new_id' where id = :'org'

-- Not even if only the log refers to it.
-- as: service_role, owner
-- expect: 23514, 23503, 23001
set constraints all deferred;
insert into public.organizations (id, name) values (:'new_id', 'Another');
update public.organizations set id = :'away.new_id' where id = :'new_id'

-- as: service_role, owner
-- expect: 23***
set constraints all deferred;
delete from public.organizations where id = :'org';
insert into public.organizations (id, name) values (:'org', 'Another');
set constraints all immediate
