-- 23_definer_in_an_exposed_schema
-- A SECURITY DEFINER function in an exposed schema that an API role may execute.
-- source: https://supabase.com/docs/guides/database/functions
-- why: The API serves it, and it bypasses every policy.

select
    format('function %s', f.title) as object,
    format('%s may call it, and it runs as %I', callers.names, pg_get_userbyid(f.owner))
        as problem,
    format('alter routine %s security invoker;', f.title) as fix
from routine as f
cross join lateral (
    select string_agg(r.name, ', ' order by r.name) as names
    from api_role as r
    where has_function_privilege(r.oid, f.oid, 'execute')
) as callers
where f.exposed
    and f.is_definer
    and callers.names is not null
