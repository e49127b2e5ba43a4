-- An extension of this database as statements that make its types, functions, operators, casts and operator
-- classes without its library, for a scratch server that lacks it: what definitions refer to, and what
-- an empty database can be made with. Types look like text; a function that is called raises an error.
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
    where t.typtype = 'b' and t.typelem = 0
),
functions as (
    select
        p.oid,
        format(
            'create function %%I(%%s) returns %%s language %%s',
            p.proname,
            pg_get_function_arguments(p.oid),
            pg_get_function_result(p.oid),
            case when s.is_internal then 'internal' else 'plpgsql' end
        ) || case p.provolatile when 'i' then ' immutable' when 's' then ' stable' else '' end
        || case when p.proisstrict then ' strict' else '' end
        || format(
            ' as %%L',
            case
                when not s.is_internal
                    then 'begin raise ''a scratch server has no library for this function'''
                        ' using hint = ''Name a server that has the extension in RUNNER_SCRATCH_URL.'';'
                        ' end'
                when p.oid in (select typoutput from types) then 'textout'
                when p.oid in (select typreceive from types) then 'textrecv'
                when p.oid in (select typsend from types) then 'textsend'
                when p.oid in (select typmodin from types) then 'varchartypmodin'
                when p.oid in (select typmodout from types) then 'varchartypmodout'
                else 'textin'
            end
        ) as make,
        p.oid in (select unnest(array[typinput, typoutput, typmodin, typmodout]) from types) as is_io
    from members as m
    inner join pg_proc as p on m.classid = 'pg_proc'::regclass and p.oid = m.objid
    cross join lateral (
        select exists (
            select from pg_type as t
            where t.oid = any(p.proargtypes::oid[] || p.prorettype)
                and t.typname in ('internal', 'cstring', '_cstring')
        ) as is_internal
    ) as s
    where p.prokind = 'f'
),
statements (place, make) as (
    select 1, format('create type %%I', typname) from types
    union all
    select case when is_io then 2 else 4 end, make from functions
    union all
    select 3, format(
        'create type %%I (input = %%s, output = %%s, like = pg_catalog.text, category = %%L,'
        ' preferred = %%s, collatable = %%s%%s)',
        typname,
        typinput,
        typoutput,
        typcategory,
        typispreferred::text,
        (typcollation <> 0)::text,
        case when typmodin <> 0 then format(', typmod_in = %%s, typmod_out = %%s', typmodin, typmodout) end
    )
    from types
    union all
    select 5, concat_ws(
        ', ',
        format('create operator %%s (function = %%s', o.oprname, o.oprcode),
        'leftarg = ' || nullif(o.oprleft, 0)::regtype,
        'rightarg = ' || nullif(o.oprright, 0)::regtype
    ) || ')'
    from members as m
    inner join pg_operator as o on m.classid = 'pg_operator'::regclass and o.oid = m.objid
    union all
    select 5, format(
        'create cast (%%s as %%s) %%s %%s',
        c.castsource::regtype,
        c.casttarget::regtype,
        case c.castmethod
            when 'f' then 'with function ' || c.castfunc::regprocedure
            when 'i' then 'with inout' else 'without function'
        end,
        case c.castcontext when 'i' then 'as implicit' when 'a' then 'as assignment' end
    )
    from members as m
    inner join pg_cast as c on m.classid = 'pg_cast'::regclass and c.oid = m.objid
    union all
    select 6, format(
        'create operator class %%I %%s for type %%s using %%I as %%s',
        o.opcname,
        case when o.opcdefault then 'default' end,
        o.opcintype::regtype,
        a.amname,
        concat_ws(
            ', ',
            'storage ' || nullif(o.opckeytype, 0)::regtype,
            (
                select string_agg(
                    format(
                        'operator %%s %%I.%%s (%%s, %%s)%%s', p.amopstrategy, n.nspname, r.oprname,
                        p.amoplefttype::regtype, p.amoprighttype::regtype,
                        (
                            select format(' for order by pg_catalog.%%I', f.opfname)
                            from pg_opfamily as f
                            where f.oid = p.amopsortfamily
                        )
                    ),
                    ', '
                )
                from pg_amop as p
                inner join pg_operator as r on r.oid = p.amopopr
                inner join pg_namespace as n on n.oid = r.oprnamespace
                where p.amopfamily = o.opcfamily and p.amoplefttype = o.opcintype
            ),
            (
                select string_agg(
                    format(
                        'function %%s (%%s, %%s) %%s', p.amprocnum, p.amproclefttype::regtype,
                        p.amprocrighttype::regtype, p.amproc::regprocedure
                    ),
                    ', '
                )
                from pg_amproc as p
                where p.amprocfamily = o.opcfamily and p.amproclefttype = o.opcintype
            )
        )
    )
    from members as m
    inner join pg_opclass as o on m.classid = 'pg_opclass'::regclass and o.oid = m.objid
    inner join pg_am as a on a.oid = o.opcmethod
)
-- What depends on an object that is not made here is left out.
select format('do %%L', format('begin execute %%L; exception when others then null; end', make))
from statements
order by place
