-- 01_view_runs_as_owner
-- A view in an exposed schema that runs with its owner's rights, which bypass policies.
-- source: https://www.postgresql.org/docs/current/sql-createview.html (security_invoker)
-- why: Without security_invoker a view returns the rows of every tenant to any role that may
--   select from it.

select
    format('view %s', v.title) as object,
    'it reads its tables with its owner''s rights, which bypass row-level security' as problem,
    format('alter view %s set (security_invoker = true);', v.title) as fix
from relation as v
where v.exposed
    and v.kind = 'v'
    and not exists (
        select from pg_options_to_table(v.options) as o
        where o.option_name = 'security_invoker' and o.option_value::boolean
    )
