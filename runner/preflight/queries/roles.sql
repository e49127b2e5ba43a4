-- The roles of a cluster, with the attributes that affect their rights, and their memberships.
select
    r.rolname::text,
    concat_ws(
        ' ',
        case when r.rolsuper then 'superuser' end,
        case when r.rolbypassrls then 'bypassrls' end,
        case when r.rolcreaterole then 'createrole' end,
        case when not r.rolinherit then 'noinherit' end,
        'login'
    ),
    array(
        select g.rolname::text
        from pg_catalog.pg_auth_members as m
        inner join pg_catalog.pg_roles as g on g.oid = m.roleid
        where m.member = r.oid and g.rolname !~ '^pg_'
        order by 1
    )
from pg_catalog.pg_roles as r
where r.rolname !~ '^pg_'
order by r.rolname
