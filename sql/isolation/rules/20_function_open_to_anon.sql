-- 20_function_open_to_anon
-- A function, in a schema of ours or an exposed one, that anon or PUBLIC may execute.
-- source: https://www.postgresql.org/docs/current/sql-createfunction.html (EXECUTE is granted to
--   PUBLIC)
-- why: PostgREST serves it to requests that are not signed in.

select
    format('function %s', f.title) as object,
    format('%s may execute it', grantee.name) as problem,
    format('revoke execute on routine %s from %s;', f.title, grantee.name) as fix
from routine as f
cross join lateral aclexplode(coalesce(f.acl, acldefault('f', f.owner))) as acl
left join pg_roles as g on g.oid = acl.grantee
cross join lateral (select coalesce(quote_ident(g.rolname), 'public') as name) as grantee
where coalesce(g.rolname, 'anon') = 'anon'
