-- What a copy of a database loses, as statements for the copy: privileges and settings of the database.
select format('revoke all on database %%I from public', %(copy)s::text)
from pg_catalog.pg_database as d
where d.datname = %(template)s and d.datacl is not null
union all
select format(
    'grant %%s on database %%I to %%s%%s',
    acl.privilege_type,
    %(copy)s::text,
    coalesce(quote_ident(r.rolname), 'public'),
    case when acl.is_grantable then ' with grant option' else '' end
)
from pg_catalog.pg_database as d
cross join lateral aclexplode(d.datacl) as acl
left join pg_catalog.pg_roles as r on r.oid = acl.grantee
where d.datname = %(template)s and acl.grantee <> d.datdba
union all
select format(
    '%%s %%I set %%I = %%s',
    case when r.oid is null then 'alter database' else format('alter role %%I in database', r.rolname) end,
    %(copy)s::text,
    split_part(setting, '=', 1),
    -- A list keeps its commas outside of the quotes.
    case
        when split_part(setting, '=', 1) = 'search_path' then substr(setting, strpos(setting, '=') + 1)
        else quote_literal(substr(setting, strpos(setting, '=') + 1))
    end
)
from pg_catalog.pg_database as d
inner join pg_catalog.pg_db_role_setting as s on s.setdatabase = d.oid
cross join lateral unnest(s.setconfig) as setting
left join pg_catalog.pg_roles as r on r.oid = s.setrole
where d.datname = %(template)s
