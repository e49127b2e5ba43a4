-- What each role other than the owner is granted on one table; no columns means the whole table.
select
    coalesce(r.rolname::text, 'public'),
    lower(acl.privilege_type),
    coalesce(array_agg(acl.attname::text order by acl.attnum) filter (where acl.attnum > 0), '{}')
from (
    select
        (x).grantee,
        (x).privilege_type,
        null::name as attname,
        0::smallint as attnum
    from pg_catalog.pg_class as c
    cross join lateral aclexplode(c.relacl) as x
    where c.oid = %(table)s and (x).grantee <> c.relowner
    union all
    select
        (x).grantee,
        (x).privilege_type,
        a.attname,
        a.attnum
    from pg_catalog.pg_attribute as a
    cross join lateral aclexplode(a.attacl) as x
    where a.attrelid = %(table)s and not a.attisdropped
) as acl
left join pg_catalog.pg_roles as r on r.oid = acl.grantee
group by 1, 2, acl.attnum = 0
order by 1, position(lower(acl.privilege_type) in 'select insert update delete'), 3
