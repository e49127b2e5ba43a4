-- What allows or restricts a command of a role on a table: one row per switch, policy, grant,
-- membership and trigger, and per function that a policy calls. The most suspicious come first.

with here as (
    select
        c.oid,
        c.relowner,
        c.relrowsecurity,
        c.relforcerowsecurity,
        format('%%I.%%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where format('%%I.%%I', n.nspname, c.relname) = %(table)s
),

me as (
    select oid, rolname, rolsuper, rolbypassrls
    from pg_catalog.pg_roles
    where rolname = %(role)s
),

-- A superuser has the rights of every role without being a member, so only itself is listed.
mine as (
    select r.oid, r.rolname
    from me
    inner join pg_catalog.pg_roles as r
        on r.oid = me.oid
        or (not me.rolsuper and pg_catalog.pg_has_role(me.oid, r.oid, 'usage'))
),

policies as (
    select p.*
    from here
    inner join pg_catalog.pg_policy as p on p.polrelid = here.oid
    where (
        p.polcmd = '*'
        or p.polcmd = case %(command)s
            when 'select' then 'r' when 'insert' then 'a' when 'update' then 'w'
            when 'delete' then 'd' else '-'
        end::"char"
    ) and (
        0 = any (p.polroles)
        or exists (select from mine where mine.oid = any (p.polroles))
    )
),

grants as (
    select acl.grantee, acl.privilege_type, null::text as column_name
    from here
    inner join pg_catalog.pg_class as c on c.oid = here.oid
    cross join lateral pg_catalog.aclexplode(
        coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))
    ) as acl
    union all
    select acl.grantee, acl.privilege_type, a.attname::text
    from here
    inner join pg_catalog.pg_attribute as a on a.attrelid = here.oid and not a.attisdropped
    cross join lateral pg_catalog.aclexplode(a.attacl) as acl
)

select 1 as rank, 'switch' as kind, 'table' as name, 'row-level security is off on ' || here.name as text
from here
where not here.relrowsecurity

union all
select 1, 'switch', 'owner', format('%%I owns %%s, and row-level security is not forced', me.rolname, here.name)
from here
cross join me
where not here.relforcerowsecurity and pg_catalog.pg_has_role(me.oid, here.relowner, 'usage')

union all
select 1, 'switch', 'role', format(
    'role %%I bypasses every policy: it %%s',
    me.rolname, case when me.rolsuper then 'is a superuser' else 'has BYPASSRLS' end
)
from me
where me.rolsuper or me.rolbypassrls

union all
select 1, 'owner', 'owner', format('%%I owns %%s', me.rolname, here.name)
from here
cross join me
where not me.rolsuper and pg_catalog.pg_has_role(me.oid, here.relowner, 'usage')

union all
select
    2,
    case when p.polpermissive then 'policy' else 'restrictive' end,
    p.polname::text,
    format(
        '%%s %%I on %%s: for %%s to %%s%%s%%s',
        case when p.polpermissive then 'policy' else 'restrictive policy' end,
        p.polname,
        here.name,
        case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
            when 'd' then 'delete' else 'all'
        end,
        case
            when 0 = any (p.polroles) then 'public'
            else (
                select string_agg(quote_ident(r.rolname), ', ' order by r.rolname)
                from pg_catalog.pg_roles as r
                where r.oid = any (p.polroles)
            )
        end,
        coalesce(' using (' || regexp_replace(
            pg_catalog.pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g'
        ) || ')', ''),
        coalesce(' with check (' || regexp_replace(
            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '\s+', ' ', 'g'
        ) || ')', '')
    )
from here
inner join policies as p on p.polrelid = here.oid

union all
select
    3,
    'grant',
    case g.grantee when 0 then 'public' else quote_ident(mine.rolname) end,
    format(
        'grant %%s%%s on %%s to %%s',
        lower(g.privilege_type),
        ' (' || string_agg(quote_ident(g.column_name), ', ' order by g.column_name) || ')',
        here.name,
        case g.grantee when 0 then 'public' else quote_ident(mine.rolname) end
    )
from here
cross join grants as g
left join mine on mine.oid = g.grantee
where lower(g.privilege_type) = %(command)s and (g.grantee = 0 or mine.oid is not null)
group by here.name, g.grantee, mine.rolname, g.privilege_type, g.column_name is null

union all
select
    3,
    'member',
    quote_ident(mine.rolname),
    format('grant %%I to %%I', predefined.rolname, mine.rolname)
from me
cross join mine
inner join pg_catalog.pg_auth_members as m on m.member = mine.oid
inner join pg_catalog.pg_roles as predefined on predefined.oid = m.roleid
where pg_catalog.pg_has_role(me.oid, predefined.oid, 'usage')
    and predefined.rolname = case
        when %(command)s = 'select' then 'pg_read_all_data'
        when %(command)s in ('insert', 'update', 'delete') then 'pg_write_all_data'
    end

union all
select
    4,
    'trigger',
    t.tgname::text,
    format(
        'trigger %%I%%s',
        t.tgname,
        case when t.tgenabled in ('D', 'R') then ' (disabled)' else '' end
    )
from here
inner join pg_catalog.pg_trigger as t on t.tgrelid = here.oid and not t.tgisinternal
where t.tgtype & case %(command)s
    when 'insert' then 4 when 'delete' then 8 when 'update' then 16 when 'truncate' then 32 else 0
end <> 0

union all
select
    5,
    'helper',
    call.refobjid::regprocedure::text,
    format(
        '%%s is called by %%s',
        call.refobjid::regprocedure,
        string_agg(distinct quote_ident(p.polname), ', ')
    )
from policies as p
inner join pg_catalog.pg_depend as call
    on call.classid = 'pg_catalog.pg_policy'::regclass
    and call.objid = p.oid
    and call.refclassid = 'pg_catalog.pg_proc'::regclass
group by call.refobjid

order by 1, 2, 4
