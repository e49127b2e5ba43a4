-- 50_default_privileges_open
-- Default privileges that give an API role access to new tables, sequences, functions or schemas.
-- source: https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html
-- why: A new object is accessible before its policies are written.

select
    format('default privileges of %I%s', o.name, coalesce(' in schema ' || quote_ident(n.name), ''))
        as object,
    format(
        'new %s are accessible to %s: %s',
        kind.plural, coalesce(quote_ident(g.rolname), 'public'),
        string_agg(lower(acl.privilege_type), ', ' order by acl.privilege_type)
    ) as problem,
    format(
        'alter default privileges for role %I%s revoke all on %s from %s;',
        o.name, coalesce(' in schema ' || quote_ident(n.name), ''), kind.plural,
        coalesce(quote_ident(g.rolname), 'public')
    ) as fix
from (
    select r.owner as oid, pg_get_userbyid(r.owner) as name
    from relation as r
    union
    select f.owner, pg_get_userbyid(f.owner)
    from routine as f
) as o
cross join (
    values
    ('tables', 'r', 'r'),
    ('sequences', 'S', 's'),
    ('functions', 'f', 'f'),
    ('schemas', 'n', 'n')
) as kind (plural, letter, default_letter)
cross join lateral (
    select null::oid, null::name
    union all
    select p.oid, p.name
    from inspected_schema as p
) as n (oid, name)
left join pg_default_acl as changed
    on changed.defaclrole = o.oid
    and changed.defaclnamespace = coalesce(n.oid, 0)
    and changed.defaclobjtype = kind.letter::"char"
cross join lateral aclexplode(
    coalesce(
        changed.defaclacl,
        case when n.oid is null then acldefault(kind.default_letter::"char", o.oid) end
    )
) as acl
left join pg_roles as g on g.oid = acl.grantee
where (acl.grantee = 0 or acl.grantee in (select r.oid from api_role as r))
    and acl.grantee <> o.oid
group by o.name, n.name, kind.plural, g.rolname
