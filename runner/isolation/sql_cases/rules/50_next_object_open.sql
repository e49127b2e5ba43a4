-- 50_next_object_open
-- Default privileges that would open the next table, sequence, function or schema to the API.
-- source: sql/0009_enable_row_level_security.sql;
--   https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html
-- why: What is made tomorrow is open before anybody has written its policies.

select
    format('default privileges of %I%s', o.name, coalesce(' in schema ' || quote_ident(n.name), ''))
        as object,
    format(
        'the next %s is open to %s: %s',
        kind.singular, coalesce(g.rolname, 'public'),
        string_agg(lower(acl.privilege_type), ', ' order by acl.privilege_type)
    ) as problem,
    format(
        'alter default privileges for role %I%s revoke all on %s from %s;',
        o.name, coalesce(' in schema ' || quote_ident(n.name), ''), kind.plural,
        coalesce(g.rolname, 'public')
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
    ('table', 'tables', 'r', 'r'),
    ('sequence', 'sequences', 'S', 's'),
    ('function', 'functions', 'f', 'f'),
    ('schema', 'schemas', 'n', 'n')
) as kind (singular, plural, letter, default_letter)
cross join lateral (
    select null::oid, null::name
    union all
    select p.oid, p.name
    from place as p
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
group by o.name, n.name, kind.singular, kind.plural, g.rolname
