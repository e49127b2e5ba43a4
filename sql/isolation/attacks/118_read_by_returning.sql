-- 118_read_by_returning
-- A member who may only insert into the log reads it with RETURNING.
-- safe: Refused: INSERT does not imply SELECT.
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
