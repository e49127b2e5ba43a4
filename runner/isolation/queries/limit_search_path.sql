-- Limit search_path to PostgreSQL's own objects, if a role other than superusers, this user and the
-- owner of the database has an operator, or a function with the name of one of PostgreSQL, in a schema
-- of the default search_path: a statement could find it instead. So the operators here compare values
-- of one type.
select pg_catalog.set_config('search_path', 'pg_catalog', %(local)s)
where exists (
    select
    from pg_catalog.pg_shdepend as s
    inner join pg_catalog.pg_database as d on d.oid = s.dbid and d.datname = current_database()
    inner join pg_catalog.pg_roles as r on r.oid = s.refobjid
    left join pg_catalog.pg_proc as p
        on s.classid = 'pg_catalog.pg_proc'::regclass::oid and p.oid = s.objid
    left join pg_catalog.pg_operator as o
        on s.classid = 'pg_catalog.pg_operator'::regclass::oid and o.oid = s.objid
    inner join pg_catalog.pg_namespace as n on n.oid = coalesce(p.pronamespace, o.oprnamespace)
    where s.deptype = 'o'
        and s.refclassid = 'pg_catalog.pg_authid'::regclass::oid
        and n.nspname in ('public', session_user)
        and not r.rolsuper
        and r.rolname <> session_user
        and r.oid <> d.datdba
        and (
            o.oid is not null
            or exists (
                select
                from pg_catalog.pg_proc as same
                where same.proname = p.proname
                    and same.pronamespace = 'pg_catalog'::regnamespace::oid
            )
        )
)
