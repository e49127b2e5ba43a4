-- 40_privilege_of_anon
-- A privilege on a table, view or column, in a schema of ours or an exposed one, of anon or PUBLIC.
-- source: a decision of this schema: anon has no privileges
-- why: Requests that are not signed in run as anon, and PUBLIC includes every role, anon among
--   them.

select
    format('relation %s', p.title) as object,
    format('%s may %s', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
where p.kind <> 'S'
    and p.grantee_name in ('anon', 'public')
