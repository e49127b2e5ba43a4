-- An extension of this database as statements that make its types and functions without its library, for
-- a scratch server that lacks it: names and signatures are what definitions refer to.
with members as (
    select d.classid, d.objid
    from pg_depend as d
    inner join pg_extension as e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
    where e.extname = %(name)s and d.deptype = 'e'
),
types as (
    select t.*
    from members as m
    inner join pg_type as t on m.classid = 'pg_type'::regclass and t.oid = m.objid
    where t.typtype = 'b' and t.typelem = 0 and t.typcategory <> 'A'
),
functions as (
    select p.*
    from members as m
    inner join pg_proc as p on m.classid = 'pg_proc'::regclass and p.oid = m.objid
    where p.prokind = 'f' and not exists (
        select from pg_type as t
        where t.oid = any(p.proargtypes::oid[] || p.prorettype)
            and t.typname in ('internal', 'cstring', 'index_am_handler', 'language_handler')
    )
)
select format('create domain %%I as text', typname) from types
union all
select format(
    'create function %%I(%%s) returns %%s language plpgsql %%s %%s as '
    '$stub$ begin raise ''a scratch server has no library for this function''; end $stub$',
    proname,
    pg_get_function_arguments(oid),
    pg_get_function_result(oid),
    case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    case when proisstrict then 'strict' else '' end
)
from functions
union all
select format(
    'create operator %%s (leftarg = %%s, rightarg = %%s, function = %%s)',
    o.oprname, o.oprleft::regtype, o.oprright::regtype, o.oprcode
)
from members as m
inner join pg_operator as o on m.classid = 'pg_operator'::regclass and o.oid = m.objid
where o.oprcode in (select f.oid from functions as f)
    and o.oprleft <> 0
    and not exists (select from types as t where t.oid in (o.oprleft, o.oprright))
