-- 24_helper_attributes
-- A function of schema app that policies call, and that is not stable, parallel safe, definer,
--   plpgsql.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/xfunc-volatility.html
-- why: IMMUTABLE is evaluated once for all callers, VOLATILE once per row, and PARALLEL UNSAFE
--   disables parallel plans.

select
    format('function %s', f.oid::regprocedure) as object,
    format(
        'policies call it, and it is %s',
        concat_ws(
            ', ',
            case f.provolatile when 'i' then 'IMMUTABLE' when 'v' then 'VOLATILE' end,
            case f.proparallel
                when 'u' then 'PARALLEL UNSAFE'
                when 'r' then 'PARALLEL RESTRICTED'
            end,
            case when not f.prosecdef then 'SECURITY INVOKER' end,
            case when l.lanname <> 'plpgsql' then format('written in %s', l.lanname) end
        )
    ) as problem,
    case
        when l.lanname <> 'plpgsql' then format('-- compare function %s', f.oid::regprocedure)
        else format('alter function %s stable parallel safe security definer;', f.oid::regprocedure)
    end as fix
from pg_proc as f
inner join pg_namespace as n on n.oid = f.pronamespace
inner join pg_language as l on l.oid = f.prolang
where n.nspname = 'app'
and (
    l.lanname <> 'plpgsql'
    or (f.provolatile, f.proparallel, f.prosecdef) is distinct from ('s'::"char", 's'::"char", true)
)
and exists (
    select from pg_depend as d
    inner join policy as p on p.oid = d.objid and p.is_for_tenants
    where d.classid = 'pg_policy'::regclass
        and d.refclassid = 'pg_proc'::regclass
        and d.refobjid = f.oid
)
