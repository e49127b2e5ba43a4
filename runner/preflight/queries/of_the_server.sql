-- What pg_dump leaves out of a database: the roles, their memberships, and the settings of roles and of
-- this database, each as the role it is about (null for the database) and the statements that make it.
-- They are for a database of the name %(database)s. Run it under search_path = pg_catalog.
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
        format('; comment on role %%s is ', r.name)
        || quote_literal(shobj_description(r.oid, 'pg_authid')),
        ''
    ) as statements
from roles as r
union all
select distinct
    r.rolname::text,
    'membership',
    format('grant %%I to %%s', g.rolname, r.name)
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
        'alter %%s set %%s = %%s',
        case
            when r.oid is null then this.target
            else 'role ' || r.name || case when s.setdatabase <> 0 then ' in ' || this.target else '' end
        end,
        array_to_string(
            array(select quote_ident(part) from unnest(string_to_array(its.name, '.')) as part), '.'
        ),
        -- A list is stored as it was written, and an owner of a database may have written anything:
        -- a text that is no list of names is one name.
        case
            when its.is_list and its.value ~ '^(?:"(?:[^"]|"")*"|[\w$]+)(?:, *(?:"(?:[^"]|"")*"|[\w$]+))*$'
                then (
                    select
                        string_agg(
                            quote_literal(
                                case
                                    when part[1] like '"%%' then replace(substr(part[1], 2, length(part[1]) - 2), '""', '"')
                                    when its.name like '%%libraries' then part[1]
                                    else lower(part[1])
                                end
                            ),
                            ', ' order by place
                        )
                    from regexp_matches(its.value, '("(?:[^"]|"")*"|[\w$]+)', 'g')
                        with ordinality as found (part, place)
                )
            else quote_literal(its.value)
        end
    )
from pg_db_role_setting as s
inner join pg_database as d on d.datname = current_database()
left join roles as r on r.oid = s.setrole
cross join (select format('database %%I', %(database)s::text)) as this (target)
cross join lateral unnest(s.setconfig) as setting
cross join lateral (
    select
        split_part(setting, '=', 1) as name,
        regexp_replace(setting, '^[^=]*=', '') as value,
        split_part(setting, '=', 1) in (
            'search_path', 'session_preload_libraries', 'local_preload_libraries', 'temp_tablespaces'
        ) as is_list
) as its
where s.setdatabase in (0, d.oid) and (r.oid is not null or (s.setrole = 0 and s.setdatabase = d.oid))
order by role nulls last, kind, statements
