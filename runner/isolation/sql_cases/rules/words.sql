-- The words that every rule is written in. They stand before each query, so that what a rule looks
-- at is found in the catalog of the database it looks at: a new table or role needs no new rule.
-- Names are read under search_path = pg_catalog: every other name comes with its schema.

with recursive
-- Who comes in through the API as a tenant: the two roles of PostgREST, and any other that its
-- login role may become. service_role is the platform, and is named where it is meant.
api_role as (
    select r.oid, r.rolname as name
    from pg_roles as r
    where r.rolname in ('anon', 'authenticated')
        or (
            r.rolname <> 'service_role'
            and r.rolname !~ '^(pg|supabase)_'
            and exists (
                select from pg_auth_members as m
                inner join pg_roles as door on door.oid = m.member
                where door.rolname = 'authenticator' and m.roleid = r.oid
            )
        )
),
-- What extensions brought is theirs to answer for.
of_extension as (
    select classid, objid
    from pg_depend
    where deptype = 'e'
),
-- The schemas to look at: ours, and every other one that the API can reach. Exposed are those where
-- tenants' data may lie. Left out: PostgreSQL's own, Supabase's own, and extensions'.
place as (
    select
        n.oid,
        n.nspname as name,
        n.nspname not in ('app', 'auth', 'yoyo') as exposed
    from pg_namespace as n
    where n.nspname !~ '^pg_'
        and not exists (
            select from of_extension as e
            where e.classid = 'pg_namespace'::regclass and e.objid = n.oid
        )
        and case
            when n.nspname in ('public', 'app', 'yoyo') then true
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
        exists (select from pg_inherits as i where i.inhrelid = c.oid) as is_part,
        p.name as place,
        p.exposed
    from pg_class as c
    inner join place as p on p.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and not exists (
            select from of_extension as e
            where e.classid = 'pg_class'::regclass and e.objid = c.oid
        )
),
-- Every table that the API can see, and the column that says whose a row is.
tenant_table as (
    select
        r.*,
        k.name as key,
        a.attnum as key_number
    from relation as r
    cross join lateral (
        select case r.oid when to_regclass('public.organizations') then 'id' else 'org_id' end
    ) as k (name)
    left join pg_attribute as a
        on a.attrelid = r.oid and a.attname = k.name and not a.attisdropped
    where r.exposed and r.kind in ('r', 'p')
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
-- A policy's USING and WITH CHECK, one a row, as PostgreSQL writes them, on one line.
condition as (
    select
        p.*,
        part.clause,
        regexp_replace(pg_get_expr(part.expression, p.table_oid), '\s+', ' ', 'g') as text,
        case
            when exists (select from promised as w where w.relation = p.table_oid)
                then format(
                    'psql -1 -f sql/0009_enable_row_level_security.sql'
                    '  -- or, where it is none of that page: drop policy %I on %s;',
                    p.name, p.table_title
                )
            else format(
                'drop policy %I on %s;  -- and make it with %I = (select app.caller_org()) and ...',
                p.name, p.table_title, p.key
            )
        end as fix
    from policy as p
    inner join pg_policy as raw on raw.oid = p.oid
    cross join lateral (
        values ('using', raw.polqual), ('with check', raw.polwithcheck)
    ) as part (clause, expression)
    where part.expression is not null
),
-- Every foreign key of such a table, and whether it carries the organization on both sides.
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
-- Who is a member of what, over any number of steps, and by which first one. can_set: SET ROLE
-- leads there.
membership as (
    select
        m.member,
        m.roleid as step,
        m.roleid,
        to_jsonb(m) ->> 'set_option' is distinct from 'false' as can_set  -- from 16 on
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
        p.name as place,
        p.exposed
    from pg_proc as f
    inner join place as p on p.oid = f.pronamespace
    where not exists (
        select from of_extension as e
        where e.classid = 'pg_proc'::regclass and e.objid = f.oid
    )
),
-- Every privilege on a relation or on one of its columns that somebody else than its owner has.
privilege as (
    select
        r.*,
        given.column_name,
        acl.grantee,
        coalesce(g.rolname, 'public') as grantee_name,
        acl.privilege_type as name_of_it,
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
-- The permission table (permissions.toml), as privileges. No column: the whole table.
promised as (
    select p.role, to_regclass('public.' || p.relation)::oid as relation, p.privilege, p.column_name
    from jsonb_to_recordset(:'promised'::jsonb)
        as p (role name, relation text, privilege text, column_name name)
),
-- Who owns the tables, and so made them, and will make the next.
table_owner as (
    select distinct t.owner as oid, pg_get_userbyid(t.owner) as name
    from tenant_table as t
)
