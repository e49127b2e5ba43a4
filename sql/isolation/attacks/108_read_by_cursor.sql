-- 108_read_by_cursor
-- A tenant reads with a cursor, and writes through one that service_role left open.
-- safe: The cursor returns their own rows; the other cursor cannot be used to change a row.
-- source: https://www.postgresql.org/docs/current/sql-declare.html

-- as: OWNER
-- expect: own
declare proof_own cursor for select * from public.projects limit 100;
fetch all from proof_own

-- as: OWNER
-- expect: own
move backward all in proof_own;
fetch forward all from proof_own

-- as: service_role
-- expect: rows
declare proof_left cursor for
select * from public.projects where org_id = :'away.org' for update;
fetch 1 from proof_left

-- as: OWNER, MEMBER
-- expect: nothing, 42501, 42P11, 24000
update public.projects set name = 'Taken' where current of proof_left
