-- What roles that no actor has may do with tables of tenants: role, what, and the statement that takes
-- it away. A member of such a role has it through that role, which is named.

with
{scope},
tables as (
    select c.oid, format('%%I.%%I', n.nspname, c.relname) as name, c.relowner, c.relacl
    from pg_class as c
    inner join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = any (%(tables)s)
),

-- Not those that may do everything, or as the owner, and not those that this file declares.
others as (
    select r.oid, r.rolname::text as name, r.rolbypassrls
    from pg_roles as r
    where not r.rolsuper
        and r.rolname !~ '^pg_'
        and r.rolname not in ('alloydbsuperuser', 'azure_pg_admin', 'cloudsqlsuperuser', 'rds_superuser')
        and r.rolname <> all (%(roles)s)
        and r.oid not in (select p.oid from platform_roles as p)
        and not exists (select from tables as t where pg_has_role(r.oid, t.relowner, 'member'))
),

granted as (
    select t.name as relation, acl.grantee, lower(acl.privilege_type) as privilege, null::name as part
    from tables as t
    cross join lateral aclexplode(t.relacl) as acl
    union all
    select t.name, acl.grantee, lower(acl.privilege_type), a.attname
    from tables as t
    inner join pg_attribute as a on a.attrelid = t.oid and not a.attisdropped
    cross join lateral aclexplode(a.attacl) as acl
),

named as (
    select
        p.polname,
        t.name as relation,
        o.name as role,
        (
            select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
            from pg_roles as r
            where r.oid = any (p.polroles) and r.oid not in (select others.oid from others)
        ) as remaining
    from pg_policy as p
    inner join tables as t on t.oid = p.polrelid
    inner join others as o on o.oid = any (p.polroles)
    where p.polpermissive
),

found (role, step, what, fix) as (
    select
        role,
        1,
        format('policy %%s on %%s', quote_ident(polname), relation),
        case
            when remaining is null then format('drop policy %%I on %%s;', polname, relation)
            else format('alter policy %%I on %%s to %%s;', polname, relation, remaining)
        end
    from named
    union all
    select
        o.name,
        2,
        format(
            '%%s on %%s',
            g.privilege || ' (' || string_agg(quote_ident(g.part), ', ' order by g.part) || ')',
            g.relation
        ),
        format(
            'revoke %%s (%%s) on %%s from %%I;',
            g.privilege, string_agg(quote_ident(g.part), ', ' order by g.part), g.relation, o.name
        )
    from granted as g
    inner join others as o on o.oid = g.grantee
    where g.part is not null
    group by o.name, g.relation, g.privilege
    union all
    select
        o.name,
        2,
        format('%%s on %%s', g.privilege, g.relation),
        format('revoke %%s on %%s from %%I;', g.privilege, g.relation, o.name)
    from granted as g
    inner join others as o on o.oid = g.grantee
    where g.part is null
    union all
    select
        o.name,
        3,
        format('member of %%I', of_all.rolname),
        format('revoke %%I from %%I;', of_all.rolname, o.name)
    from others as o
    inner join pg_auth_members as m on m.member = o.oid
    inner join pg_roles as of_all on of_all.oid = m.roleid
    where of_all.rolname in ('pg_read_all_data', 'pg_write_all_data')
        and exists (select from tables)
    union all
    select
        o.name,
        3,
        format('BYPASSRLS, and what PUBLIC has on %%s', string_agg(distinct g.relation, ', ')),
        format('alter role %%I nobypassrls;', o.name)
    from others as o
    inner join granted as g on g.grantee = 0
    where o.rolbypassrls
    group by o.name
)

select role, array_agg(what order by step, what), array_agg(fix order by step, fix)
from found
group by role
order by role
