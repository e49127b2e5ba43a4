-- 0001_create_auth_and_roles
-- The ground the schema stands on, checked first and supplied where a plain PostgreSQL lacks it.

-- Preflight. Whatever is missing is said here, before anything is made.
do $$
declare
    needs_schema boolean := to_regnamespace('app') is null or to_regnamespace('auth') is null;
    absent_roles text;
    foreign_owned text;
begin
    if current_setting('server_version_num')::int < 150000 then
        raise exception 'PostgreSQL 15 or later is needed; this is %',
            current_setting('server_version');
    end if;

    if needs_schema and not has_database_privilege(current_database(), 'create') then
        raise exception 'role % may not create schemas in database %',
            current_user, current_database()
            using errcode = 'insufficient_privilege', hint = format(
                'As the owner of the database: grant create on database %I to %I;',
                current_database(), current_user);
    end if;

    if not has_schema_privilege('public', 'create') then
        raise exception 'role % may not create tables in schema public', current_user
            using errcode = 'insufficient_privilege', hint = format(
                'As the owner of the schema: grant create on schema public to %I;', current_user);
    end if;

    select string_agg(wanted.name, ', ')
    into absent_roles
    from unnest(array['anon', 'authenticated', 'service_role']) as wanted (name)
    where to_regrole(wanted.name) is null;

    if absent_roles is not null and not exists (
        select from pg_roles where rolname = current_user and (rolcreaterole or rolsuper)
    ) then
        raise exception 'these roles are missing and % may not create them: %',
            current_user, absent_roles
            using errcode = 'insufficient_privilege',
            hint = 'As a role with CREATEROLE: create role <name> nologin noinherit;';
    end if;

    if exists (
        select from pg_roles
        where rolname in ('authenticated', 'service_role')
            and not has_schema_privilege(oid, 'public', 'usage')
    ) then
        raise exception 'authenticated and service_role need USAGE on schema public'
            using errcode = 'insufficient_privilege', hint =
                'As the owner of the schema: '
                'grant usage on schema public to authenticated, service_role;';
    end if;

    -- Asked in this order: without USAGE, the question after auth.uid() is itself an error.
    if to_regnamespace('auth') is not null then
        if not has_schema_privilege('auth', 'usage') then
            raise exception 'role % may not use schema auth', current_user
                using errcode = 'insufficient_privilege', hint = format(
                    'As the owner of the schema: grant usage on schema auth to %I;', current_user);
        elsif to_regprocedure('auth.uid()') is null then
            raise exception 'schema auth is here, but it has no function auth.uid()'
                using errcode = 'undefined_function', hint =
                    'This is not Supabase''s schema auth. Give it a function auth.uid() '
                    'that returns uuid, or rename the schema.';
        elsif not has_function_privilege('auth.uid()', 'execute') then
            raise exception 'role % may not execute auth.uid()', current_user
                using errcode = 'insufficient_privilege', hint = format(
                    'As its owner: grant execute on function auth.uid() to %I;', current_user);
        end if;
    end if;

    -- "if not exists" would skip over somebody else's object, and a later page trip over it.
    select string_agg(found.name, ', ')
    into foreign_owned
    from (
        select format('schema %s', nspname), nspowner
        from pg_namespace
        where nspname = 'app'
        union all
        select format('table public.%s', relname), relowner
        from pg_class
        where relnamespace = 'public'::regnamespace and relname in (
            'organizations', 'users', 'projects', 'workflows', 'ai_agents', 'audit_logs'
        )
        union all
        select format('type public.%s', typname), typowner
        from pg_type
        where typnamespace = 'public'::regnamespace and typname in (
            'billing_plan', 'user_role', 'workflow_gate'
        )
    ) as found (name, owner)
    where not pg_has_role(found.owner, 'usage');

    if foreign_owned is not null then
        raise exception 'already here, and not owned by %: %', current_user, foreign_owned
            using errcode = 'insufficient_privilege',
            hint = 'Rename or drop what is in the way, or apply these files as its owner.';
    end if;
end
$$;

-- Roles belong to the whole cluster: Supabase has them, another database may be making them now.
do $$
declare
    api_role record;
begin
    for api_role in
        select *
        from (
            values
            ('anon', 'A request without a user. Is granted nothing.'),
            ('authenticated', 'A signed-in user. Sees and changes what row-level security allows.'),
            ('service_role', 'The platform''s own back end. Crosses tenants, keeps the invariants.')
        ) as wanted (name, purpose)
        where to_regrole(wanted.name) is null
    loop
        begin
            execute format('create role %I nologin noinherit', api_role.name);
            execute format('comment on role %I is %L', api_role.name, api_role.purpose);
        exception
            when duplicate_object or unique_violation then
                null;  -- made by somebody else between our look and our deed
        end;
    end loop;
end
$$;

-- Supabase's contract for "who is asking", word for word, where there is no Supabase. The schema's
-- comment marks it as ours: the way back removes nothing that does not carry it.
do $$
begin
    if to_regnamespace('auth') is not null then
        return;
    end if;

    create schema auth;
    comment on schema auth is
        'Stand-in for Supabase''s schema auth, made by 0001_create_auth_and_roles.';

    -- Bodies that are parsed here and now look nothing up later, so no search_path is pinned: it
    -- would keep them from being inlined, as Supabase's own are, into the helpers of 0006.
    create function auth.jwt()
    returns jsonb
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb;
    comment on function auth.jwt() is
        'All claims of the request, null outside one. An error when they are not JSON.';

    -- json, not jsonb: one claim of many is read.
    create function auth.uid()
    returns uuid
    language sql
    stable
    parallel safe
    return nullif(
        coalesce(
            nullif(current_setting('request.jwt.claim.sub', true), ''),
            nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'
        ),
        ''
    )::uuid;
    comment on function auth.uid() is
        'The signed-in user (claim sub), null without one. An error when it is not a uuid.';

    create function auth.role()
    returns text
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::json ->> 'role'
    );
    comment on function auth.role() is
        'The claim role, null without one. For reading only: no policy here is decided by it.';

    revoke all on all functions in schema auth from public;
    grant usage on schema auth to authenticated, service_role;
    grant execute on all functions in schema auth to authenticated, service_role;
end
$$;

-- A look, for "create schema if not exists" asks for CREATE even where there is nothing to do.
do $$
begin
    if to_regnamespace('app') is null then
        create schema app;
    end if;
end
$$;
comment on schema app is
    'Helpers, guards and the id generator. Not exposed by the API; holds no tenant''s data.';
revoke all on schema app from public;
grant usage on schema app to authenticated, service_role;

-- What the next statements take away, so that the way back can return exactly that and no more.
create table if not exists app.privileges_before as
select
    kind.objects,
    place.clause,
    acl.privilege_type as privilege,
    case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee,
    case when acl.is_grantable then 'with grant option' else '' end as grant_option
from pg_roles as me
cross join (
    values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')
) as kind (letter, objects)
cross join (
    values (0::oid, ''), ('public'::regnamespace::oid, 'in schema public')
) as place (namespace, clause)
left join pg_default_acl as changed
    on changed.defaclrole = me.oid
    and changed.defaclnamespace = place.namespace
    and changed.defaclobjtype = kind.letter::"char"
cross join lateral aclexplode(
    coalesce(
        changed.defaclacl,
        case when place.namespace = 0 then acldefault(lower(kind.letter)::"char", me.oid) end
    )
) as acl
where me.rolname = current_user
    and acl.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
union all
select
    'database' as objects,
    '' as clause,
    acl.privilege_type as privilege,
    'public' as grantee,
    '' as grant_option
from pg_database as here
cross join lateral aclexplode(coalesce(here.datacl, acldefault('d', here.datdba))) as acl
where here.datname = current_database()
    and acl.grantee = 0
    and acl.privilege_type = 'TEMPORARY'
    and pg_has_role(here.datdba, 'usage')
union all
select
    'schema public' as objects,
    '' as clause,
    acl.privilege_type as privilege,
    'public' as grantee,
    '' as grant_option
from pg_namespace as here
cross join lateral aclexplode(coalesce(here.nspacl, acldefault('n', here.nspowner))) as acl
where here.nspname = 'public'
    and acl.grantee = 0
    and acl.privilege_type = 'CREATE'
    and pg_has_role(here.nspowner, 'usage');
comment on table app.privileges_before is
    'Privileges that 0001_create_auth_and_roles took away. Its way back grants them again.';
revoke all on app.privileges_before from public, anon, authenticated, service_role;

-- Whatever this role makes from now on is closed until somebody is named. Supabase opens every new
-- table to anon; PostgreSQL opens every new function to PUBLIC, and only the first form stops that.
alter default privileges
revoke all on functions from public, anon, authenticated, service_role;
alter default privileges
revoke all on tables from public, anon, authenticated, service_role;
alter default privileges
revoke all on sequences from public, anon, authenticated, service_role;
alter default privileges in schema public
revoke all on functions from public, anon, authenticated, service_role;
alter default privileges in schema public
revoke all on tables from public, anon, authenticated, service_role;
alter default privileges in schema public
revoke all on sequences from public, anon, authenticated, service_role;

-- A tenant who can create anything, be it temporary, can plant a name that others then run.
-- Both need the owner's say; anybody else is told, not stopped.
do $$
begin
    if has_database_privilege('public', current_database(), 'temporary') then
        if exists (
            select from pg_database
            where datname = current_database() and pg_has_role(datdba, 'usage')
        ) then
            execute format('revoke temporary on database %I from public', current_database());
        else
            raise notice 'PUBLIC keeps TEMPORARY on this database; its owner should revoke it';
        end if;
    end if;

    if has_schema_privilege('public', 'public', 'create') then
        if exists (
            select from pg_namespace
            where nspname = 'public' and pg_has_role(nspowner, 'usage')
        ) then
            revoke create on schema public from public;
        else
            raise notice 'PUBLIC keeps CREATE on schema public; its owner should revoke it';
        end if;
    end if;
end
$$;
