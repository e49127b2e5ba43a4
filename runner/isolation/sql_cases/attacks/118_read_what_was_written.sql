-- 118_read_what_was_written
-- A member who may only add to the log asks for it back with RETURNING.
-- safe: Refused: who writes does not thereby read.
-- source: https://www.postgresql.org/docs/current/sql-createpolicy.html (RETURNING needs SELECT)

-- as: MEMBER
-- expect: rows
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', 'exported')

-- as: MEMBER
-- expect: 42501
insert into public.audit_logs (org_id, actor_id, action) values (:'org', :'me', 'exported')
returning *

-- as: MEMBER
-- expect: nothing, 42501
select 1 from public.audit_logs limit 1
