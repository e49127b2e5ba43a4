-- 04_partition_with_own_grant
-- A partition or child table on which an API role has its own privilege.
-- source: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- why: When queried directly, a child table is subject only to its own policies, not to those of
--   its parent.

select distinct
    format('table %s', p.title) as object,
    format('it is a child of another table, and %s may %s it', p.grantee_name, p.right_title)
        as problem,
    format('revoke all on %s from %s;', p.title, p.grantee_name) as fix
from privilege as p
where p.exposed
    and p.is_child
    and (p.grantee = 0 or p.grantee in (select r.oid from api_role as r))
