-- The functions and procedures outside of PostgreSQL and extensions: who may call them by name, and
-- their source.

with roles as (
    select r.oid, r.rolname
    from pg_catalog.pg_roles as r
    where r.rolname = any (%(roles)s)
)

select
    p.oid::bigint,
    n.nspname::text as schema,
    p.proname::text as name,
    format(
        '%%I.%%I(%%s)',
        n.nspname,
        p.proname,
        pg_catalog.pg_get_function_identity_arguments(p.oid)
    ) as signature,
    p.prokind::text as kind,
    p.prosecdef as definer,
    p.provolatile = 'v' as volatile,
    p.prosqlbody is not null
        or exists (
            select from unnest(p.proconfig) as setting where setting like 'search_path=%%'
        ) as pinned,
    pg_catalog.pg_get_userbyid(p.proowner)::text as owner,
    coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc, '') as source,
    pg_catalog.format_type(p.prorettype, null) as returns,
    p.prorettype = any (
        array['trigger', 'event_trigger']::pg_catalog.regtype[]::oid[]
    ) as is_trigger,
    p.pronargs - p.pronargdefaults as required,
    array(
        select pg_catalog.jsonb_build_object(
            'name', coalesce(p.proargnames[part.place], ''),
            'type', pg_catalog.format_type(part.oid, null),
            'category', t.typcategory,
            'variadic', p.provariadic <> 0 and part.place = p.pronargs,
            'labels', array(
                select e.enumlabel
                from pg_catalog.pg_enum as e
                where e.enumtypid in (t.oid, t.typelem)
                order by e.enumsortorder
            )
        )
        from unnest(p.proargtypes::oid[]) with ordinality as part (oid, place)
        inner join pg_catalog.pg_type as t on t.oid = part.oid
        order by part.place
    ) as arguments,
    array(
        select roles.rolname::text
        from roles
        where pg_catalog.has_schema_privilege(roles.oid, n.oid, 'usage')
            and pg_catalog.has_function_privilege(roles.oid, p.oid, 'execute')
    ) as callers,
    exists (
        select
        from pg_catalog.pg_depend as d
        where d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.refobjid = p.oid
            and d.classid in (
                'pg_catalog.pg_policy'::pg_catalog.regclass,
                'pg_catalog.pg_attrdef'::pg_catalog.regclass
            )
    ) as decides
from pg_catalog.pg_proc as p
inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and not exists (
        select
        from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.objid = p.oid
            and d.deptype = 'e'
    )
order by n.nspname, p.proname, p.oid
