-- What fails for these roles without EXECUTE on a function: each runs it with the rights of the
-- caller. Bodies that are text have no dependencies, so they are searched for its name.

select replace(format('%%s %%s', object.type, object.identity), ' on ', ' of ')
from (
    select d.classid, d.objid
    from pg_catalog.pg_depend as d
    left join pg_catalog.pg_policy as p
        on d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid
    where d.refclassid = 'pg_catalog.pg_proc'::regclass
        and d.refobjid = %(oid)s
        and case d.classid
            when 'pg_catalog.pg_policy'::regclass then 0 = any (p.polroles) or exists (
                select
                from unnest(%(roles)s::text[]) as role
                cross join unnest(p.polroles) as of_policy
                where pg_catalog.pg_has_role(role, of_policy, 'usage')
            )
            else d.classid in (
                'pg_catalog.pg_attrdef'::regclass,
                'pg_catalog.pg_constraint'::regclass,
                'pg_catalog.pg_rewrite'::regclass,
                'pg_catalog.pg_class'::regclass
            )
        end
    union
    select 'pg_catalog.pg_proc'::regclass, f.oid
    from pg_catalog.pg_proc as called
    inner join pg_catalog.pg_proc as f
        on not f.prosecdef
        and f.oid <> called.oid
        and f.pronamespace <> 'pg_catalog'::regnamespace
        and f.prokind in ('f', 'p')
        and coalesce(pg_catalog.pg_get_function_sqlbody(f.oid), f.prosrc)
        ~* ('\m' || regexp_replace(called.proname, '(\W)', '\\\1', 'g') || '"?\s*\(')
    where called.oid = %(oid)s
        and (
            f.prorettype = 'trigger'::regtype
            or exists (
                select
                from unnest(%(roles)s::text[]) as role
                where pg_catalog.has_function_privilege(role, f.oid, 'execute')
            )
        )
) as needing
cross join lateral pg_catalog.pg_identify_object(needing.classid, needing.objid, 0) as object
order by needing.classid = 'pg_catalog.pg_proc'::regclass, 1
limit 5
