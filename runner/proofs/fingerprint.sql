-- Everything that decides who reaches what, as sorted lines of text: row-level security, policies,
-- privileges, columns, triggers and functions, without names of owners and without oids.

select line
from (
    select format(
        'relation %%I.%%I %%s %%s %%s %%s',
        n.nspname, c.relname, c.relkind, c.relrowsecurity, c.reloptions, coalesce(
            (
                select string_agg(
                    format('%%s=%%s', coalesce(r.rolname, 'public'), acl.privilege_type), ' '
                    order by r.rolname collate "C", acl.privilege_type collate "C"
                )
                from pg_catalog.aclexplode(c.relacl) as acl
                left join pg_catalog.pg_roles as r on r.oid = acl.grantee
                where acl.grantee <> c.relowner
            ), ''
        )
    ) as line
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')

    union all
    select format(
        'column %%s.%%I %%s %%s %%s %%s',
        a.attrelid::pg_catalog.regclass, a.attname,
        pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid),
        coalesce(
            (
                select string_agg(
                    format('%%s=%%s', coalesce(r.rolname, 'public'), acl.privilege_type), ' '
                    order by r.rolname collate "C", acl.privilege_type collate "C"
                )
                from pg_catalog.aclexplode(a.attacl) as acl
                left join pg_catalog.pg_roles as r on r.oid = acl.grantee
            ), ''
        )
    )
    from pg_catalog.pg_attribute as a
    inner join pg_catalog.pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v')
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where n.nspname = any (%(schemas)s) and a.attnum > 0 and not a.attisdropped

    union all
    select format(
        'policy %%s.%%I %%s %%s %%s %%s %%s',
        p.polrelid::pg_catalog.regclass, p.polname, p.polcmd, p.polpermissive,
        array(
            select coalesce(r.rolname, 'public')
            from unnest(p.polroles) as role
            left join pg_catalog.pg_roles as r on r.oid = role
            order by r.rolname collate "C"
        ),
        pg_catalog.pg_get_expr(p.polqual, p.polrelid),
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    )
    from pg_catalog.pg_policy as p
    inner join pg_catalog.pg_class as c on c.oid = p.polrelid
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s)

    union all
    select format(
        'constraint %%s.%%I %%s',
        k.conrelid::pg_catalog.regclass, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
    )
    from pg_catalog.pg_constraint as k
    inner join pg_catalog.pg_class as c on c.oid = k.conrelid
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and k.contype <> 'n'

    union all
    select format('trigger %%s %%s', t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
    from pg_catalog.pg_trigger as t
    inner join pg_catalog.pg_class as c on c.oid = t.tgrelid
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and not t.tgisinternal

    union all
    select format(
        'function %%s %%s',
        pg_catalog.pg_get_functiondef(f.oid),
        coalesce(
            (
                select string_agg(
                    coalesce(r.rolname, 'public'), ' ' order by r.rolname collate "C"
                )
                from pg_catalog.aclexplode(
                    coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))
                ) as acl
                left join pg_catalog.pg_roles as r on r.oid = acl.grantee
                where acl.grantee <> f.proowner
            ), ''
        )
    )
    from pg_catalog.pg_proc as f
    inner join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
    where (n.nspname = any (%(schemas)s) or n.nspname in ('app', 'auth')) and f.prokind in ('f', 'p')
) as lines
order by line collate "C"
