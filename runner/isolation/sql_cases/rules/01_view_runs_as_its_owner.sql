-- 01_view_runs_as_its_owner
-- A view in an exposed schema that reads its tables as its owner, whom policies do not hold.
-- source: https://www.postgresql.org/docs/current/sql-createview.html (security_invoker)
-- why: Without security_invoker a view shows every organization to whoever may select from it.

select
    format('view %s', v.title) as object,
    'it reads its tables as its owner, past row-level security' as problem,
    format('alter view %s set (security_invoker = true);', v.title) as fix
from relation as v
where v.exposed
    and v.kind = 'v'
    and not exists (
        select from pg_options_to_table(v.options) as o
        where o.option_name = 'security_invoker' and o.option_value::boolean
    )
