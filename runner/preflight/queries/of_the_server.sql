-- What pg_dump leaves out of a database: the roles, their memberships, and the settings of roles and of
-- this database, each as the role it is about (null for the database) and the statements that make it.
-- {database} stands for the name of the database. Run it under search_path = pg_catalog.
with roles as (
    select r.*, quote_ident(r.rolname) as name
    from pg_roles as r
    where r.oid >= 16384
)
select
    r.rolname::text as role,
    'role' as kind,
    concat_ws(
        ' ',
        'create role ' || r.name,
        case when r.rolsuper then 'superuser' end,
        case when r.rolbypassrls then 'bypassrls' end,
        case when r.rolcreaterole then 'createrole' end,
        case when r.rolcreatedb then 'createdb' end,
        case when r.rolreplication then 'replication' end,
        case when not r.rolinherit then 'noinherit' end,
        case when r.rolcanlogin then 'login' end
    )
    || coalesce(
        format('; comment on role %s is ', r.name)
        || quote_literal(shobj_description(r.oid, 'pg_authid')),
        ''
    ) as statements
from roles as r
union all
select distinct
    r.rolname::text,
    'membership',
    format('grant %I to %s', g.rolname, r.name)
    || case when bool_or(m.admin_option) then ' with admin option' else '' end
from pg_auth_members as m
inner join roles as r on r.oid = m.member
inner join pg_roles as g on g.oid = m.roleid
group by r.rolname, g.rolname, r.name
union all
select
    r.rolname::text,
    'setting',
    format(
        'alter %s set %s = %s',
        case
            when r.oid is null then 'database {database}'
            else 'role ' || r.name || case when s.setdatabase <> 0 then ' in database {database}' else '' end
        end,
        array_to_string(
            array(select quote_ident(part) from unnest(string_to_array(its.name, '.')) as part), '.'
        ),
        -- A list is stored as it is written.
        case
            when its.name in ('search_path', 'session_preload_libraries', 'local_preload_libraries')
                and its.value <> ''
                then its.value
            else quote_literal(its.value)
        end
    )
from pg_db_role_setting as s
inner join pg_database as d on d.datname = current_database()
left join roles as r on r.oid = s.setrole
cross join lateral unnest(s.setconfig) as setting
cross join lateral (
    select
        split_part(setting, '=', 1) as name,
        regexp_replace(setting, '^[^=]*=', '') as value
) as its
where s.setdatabase in (0, d.oid) and (r.oid is not null or (s.setrole = 0 and s.setdatabase = d.oid))
order by role nulls last, kind, statements
