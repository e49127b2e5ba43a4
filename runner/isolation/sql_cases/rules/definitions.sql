-- Common table expressions for the rules, prepended to each query. They derive what to inspect from
-- the catalog, so a new table or role needs no new rule. The queries run under search_path =
-- pg_catalog, so names of other schemas are printed schema-qualified.

with recursive
-- The database roles of the actors: `member` of those that are signed in, `anonymous` of those that
-- are not, `platform` of those whose rights cross tenants.
actor_role as (
    select r.oid, r.rolname as name, a.kind
    from jsonb_each(:'actor_roles'::jsonb) as a (kind, names)
    inner join pg_roles as r on a.names ? r.rolname
),
platform_role as (
    select a.oid, a.name
    from actor_role as a
    where a.kind = 'platform'
),
-- The API roles of tenants: those of the other actors, and any other that PostgREST's login role may
-- switch to.
api_role as (
    select r.oid, r.rolname as name
    from pg_roles as r
    where r.oid in (select a.oid from actor_role as a where a.kind <> 'platform')
        or (
            r.oid not in (select p.oid from platform_role as p)
            and r.rolname !~ '^(pg|supabase)_'
            and exists (
                select from pg_auth_members as m
                inner join pg_roles as login on login.oid = m.member
                where login.rolname = 'authenticator' and m.roleid = r.oid
            )
        )
),
-- Objects of extensions, which are not checked.
of_extension as (
    select classid, objid
    from pg_depend
    where deptype = 'e'
),
-- The schemas to inspect: ours, and every other one that an API role may use. `exposed`: it may
-- contain tenants' data. Excluded: schemas of PostgreSQL, Supabase and extensions.
inspected_schema as (
    select
        n.oid,
        n.nspname as name,
        not (n.nspname in ('auth', 'yoyo') or :'internal_schemas'::jsonb ? n.nspname) as exposed
    from pg_namespace as n
    where n.nspname !~ '^pg_'
        and not exists (
            select from of_extension as e
            where e.classid = 'pg_namespace'::regclass and e.objid = n.oid
        )
        and case
            when n.nspname in ('public', 'yoyo') or :'internal_schemas'::jsonb ? n.nspname then true
            when n.nspname = 'auth'
                then coalesce(obj_description(n.oid, 'pg_namespace') like 'Stand-in %', false)
            when n.nspname in (
                'information_schema', 'storage', 'realtime', '_realtime', 'extensions', 'graphql',
                'graphql_public', 'vault', 'pgsodium', 'pgsodium_masks', 'pgbouncer', 'pgtle',
                'supabase_functions', 'supabase_migrations', '_analytics', '_supavisor', 'cron',
                'net', 'pgmq', 'topology', 'tiger', 'tiger_data'
            ) then false
            else exists (
                select from api_role as r
                where has_schema_privilege(r.oid, n.oid, 'usage')
            )
        end
),
relation as (
    select
        c.oid,
        c.relname as name,
        c.oid::regclass::text as title,
        c.relkind as kind,
        c.relowner as owner,
        c.relacl as acl,
        c.reloptions as options,
        c.relrowsecurity as is_secured,
        c.relforcerowsecurity as is_forced,
        exists (select from pg_inherits as i where i.inhrelid = c.oid) as is_child,
        p.name as schema_name,
        p.exposed
    from pg_class as c
    inner join inspected_schema as p on p.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and not exists (
            select from of_extension as e
            where e.classid = 'pg_class'::regclass and e.objid = c.oid
        )
),
-- Every table in an exposed schema that is not shared by the tenants, with the column that holds a
-- row's tenant.
tenant_table as (
    select
        r.*,
        k.name as key,
        a.attnum as key_number
    from relation as r
    cross join lateral (
        select case
            when r.oid = to_regclass(nullif(:'tenant_table', '')) then (
                select a.attname
                from pg_index as i
                inner join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                where i.indrelid = r.oid and i.indisprimary
            )
            else :'tenant_column'
        end
    ) as k (name)
    left join pg_attribute as a
        on a.attrelid = r.oid and a.attname = k.name and not a.attisdropped
    where r.exposed
        and r.kind in ('r', 'p')
        and not :'shared'::jsonb ?| array[r.name, format('%s.%s', r.schema_name, r.name)]
),
policy as (
    select
        p.oid,
        p.polname as name,
        format('policy %I on %s', p.polname, t.title) as title,
        t.oid as table_oid,
        t.title as table_title,
        t.key,
        p.polcmd as command,
        p.polpermissive as is_permissive,
        p.polroles as roles,
        p.polroles && (select array_agg(r.oid) || 0::oid from api_role as r) as is_for_tenants
    from pg_policy as p
    inner join tenant_table as t on t.oid = p.polrelid
),
-- The USING and WITH CHECK conditions of policies, one per row, as PostgreSQL prints them, unwrapped.
condition as (
    select
        p.*,
        part.clause,
        -- (select …) = column is printed as column = (select …).
        regexp_replace(
            regexp_replace(pg_get_expr(part.expression, p.table_oid), '\s+', ' ', 'g'),
            '\(\( (SELECT [\w.]+\([^()]*\) AS \w+)\) = (\w+)\)', '(\2 = ( \1))', 'g'
        ) as text
    from policy as p
    inner join pg_policy as raw on raw.oid = p.oid
    cross join lateral (
        values ('using', raw.polqual), ('with check', raw.polwithcheck)
    ) as part (clause, expression)
    where part.expression is not null
),
-- Every foreign key of a tenant table; `is_bound`: it includes the tenant on both sides.
reference as (
    select
        k.*,
        t.title as table_title,
        t.key,
        t.key_number,
        target.key_number is not null and exists (
            select
            from unnest(k.conkey, k.confkey) as pair (here, there)
            where pair.here = t.key_number and pair.there = target.key_number
        ) as is_bound
    from pg_constraint as k
    inner join tenant_table as t on t.oid = k.conrelid
    left join tenant_table as target on target.oid = k.confrelid
    where k.contype = 'f'
),
-- Memberships, direct and indirect; `step` is the first role on the path, and `can_set` whether SET
-- ROLE is allowed along it.
membership as (
    select
        m.member,
        m.roleid as step,
        m.roleid,
        to_jsonb(m) ->> 'set_option' is distinct from 'false' as can_set  -- since 16
    from pg_auth_members as m
    union
    select
        b.member,
        b.step,
        m.roleid,
        b.can_set and to_jsonb(m) ->> 'set_option' is distinct from 'false'
    from membership as b
    inner join pg_auth_members as m on m.member = b.roleid
),
routine as (
    select
        f.oid,
        f.oid::regprocedure::text as title,
        f.proowner as owner,
        f.proacl as acl,
        f.prokind as kind,
        f.prosecdef as is_definer,
        f.prosqlbody is not null as is_parsed,
        f.proleakproof as is_leakproof,
        f.proconfig as settings,
        exists (
            select from pg_depend as d
            where d.classid in ('pg_policy'::regclass, 'pg_trigger'::regclass)
                and d.refclassid = 'pg_proc'::regclass
                and d.refobjid = f.oid
        ) as decides,
        p.name as schema_name,
        p.exposed
    from pg_proc as f
    inner join inspected_schema as p on p.oid = f.pronamespace
    where not exists (
        select from of_extension as e
        where e.classid = 'pg_proc'::regclass and e.objid = f.oid
    )
),
-- Every privilege on a relation or column of a role other than its owner. `grantee_name` is quoted.
privilege as (
    select
        r.*,
        given.column_name,
        acl.grantee,
        coalesce(quote_ident(g.rolname), 'public') as grantee_name,
        acl.privilege_type,
        acl.is_grantable,
        case
            when given.column_name is null then lower(acl.privilege_type)
            else format('%s (%I)', lower(acl.privilege_type), given.column_name)
        end as right_title
    from relation as r
    cross join lateral (
        select
            null::name,
            coalesce(
                r.acl, acldefault(case r.kind when 'S' then 's' else 'r' end::"char", r.owner)
            )
        union all
        select a.attname, a.attacl
        from pg_attribute as a
        where a.attrelid = r.oid and a.attacl is not null
    ) as given (column_name, acl)
    cross join lateral aclexplode(given.acl) as acl
    left join pg_roles as g on g.oid = acl.grantee
    where acl.grantee <> r.owner
),
-- The permission table (isolation.toml) as privileges; column_name is null for the whole table.
declared as (
    select
        p.role,
        (
            select c.oid
            from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            where p.relation in (c.relname, format('%s.%s', n.nspname, c.relname))
                and n.nspname !~ '^pg_'
                and n.nspname <> 'information_schema'
            order by n.nspname <> 'public'
            limit 1
        ) as relation,
        p.privilege,
        p.column_name
    from jsonb_to_recordset(:'declared'::jsonb)
        as p (role name, relation text, privilege text, column_name name)
),
-- The roles that own tenant tables.
table_owner as (
    select distinct t.owner as oid, pg_get_userbyid(t.owner) as name
    from tenant_table as t
)
