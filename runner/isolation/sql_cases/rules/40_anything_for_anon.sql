-- 40_anything_for_anon
-- A privilege on a table, view or column, in a schema of ours or an exposed one, for anon or
--   PUBLIC.
-- source: a decision of this schema: anon has nothing at all
-- why: Whoever has not signed in comes in as anon, and PUBLIC is everybody, anon among them.

select
    format('relation %s', p.title) as object,
    format('%s may %s', p.grantee_name, p.right_title) as problem,
    format('revoke %s on %s from %s;', p.right_title, p.title, p.grantee_name) as fix
from privilege as p
where p.kind <> 'S'
    and p.grantee_name in ('anon', 'public')
