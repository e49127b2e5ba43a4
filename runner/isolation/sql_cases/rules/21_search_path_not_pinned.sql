-- 21_search_path_not_pinned
-- A SECURITY DEFINER function, or one of ours that runs as its caller, without a fixed search_path.
-- source: https://www.postgresql.org/docs/current/sql-createfunction.html; CVE-2018-1058
-- why: Unless pg_temp is named last, it is searched first for types: a tenant's code runs as the
--   owner. An invoker function with a SQL-standard body (return …) resolved its names at creation.

select
    format('function %s', f.title) as object,
    coalesce(
        (
            select format('its %s, not pg_catalog, pg_temp', replace(setting, '=', ' is '))
            from unnest(f.settings) as setting
            where setting like 'search_path=%'
        ),
        'its search_path is set by the caller'
    ) as problem,
    format('alter routine %s set search_path = pg_catalog, pg_temp;', f.title) as fix
from routine as f
where f.kind <> 'a'
    and not exists (
        select from unnest(f.settings) as setting
        where setting like 'search\_path=%'
            and case
                when f.is_definer then setting ~ '^search_path=(\w+, )*pg_temp$'
                -- A caller's own objects must not be read in a policy or trigger.
                when f.decides then setting ~ '^search_path=((\w+, )*pg_temp|"")$'
                else true
            end
    )
    and (f.is_definer or (f.schema_name = 'public' or not f.exposed) and not f.is_parsed)
