-- 04_partition_with_its_own_grant
-- A partition or child table that an API role may use by its own name.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- why: Named directly, a child is held by its own policies alone, not by those of its parent.

select distinct
    format('table %s', p.title) as object,
    format('it is a part of another table, and %s may %s it', p.grantee_name, p.right_title)
        as problem,
    format('revoke all on %s from %s;', p.title, p.grantee_name) as fix
from privilege as p
where p.exposed
    and p.is_part
    and (p.grantee = 0 or p.grantee in (select r.oid from api_role as r))
