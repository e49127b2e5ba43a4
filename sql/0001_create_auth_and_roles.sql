-- 0001_create_auth_and_roles
-- Check the prerequisites, then create the API roles, schema app and a stand-in for schema auth.

-- Preflight: report a missing prerequisite before anything is created.
do $$
declare
    needs_schema boolean := to_regnamespace('app') is null or to_regnamespace('auth') is null;
    absent_roles text;
    foreign_owned text;
begin
    if current_setting('server_version_num')::int < 150000 then
        raise exception 'PostgreSQL 15 or later is required; this server runs %',
            current_setting('server_version');
    end if;

    if current_setting('server_encoding') <> 'UTF8' then
        raise exception 'the encoding of the database must be UTF8; it is %',
            current_setting('server_encoding')
            using hint =
                'Create another one: create database … encoding ''UTF8'' template template0;';
    end if;

    if needs_schema and not has_database_privilege(current_database(), 'create') then
        raise exception 'role % may not create schemas in database %',
            current_user, current_database()
            using errcode = 'insufficient_privilege', hint = format(
                'As the owner of the database, run: grant create on database %I to %I;',
                current_database(), current_user);
    end if;

    if not has_schema_privilege('public', 'create') then
        raise exception 'role % may not create tables in schema public', current_user
            using errcode = 'insufficient_privilege', hint = format(
                'As the owner of the schema, run: grant create on schema public to %I;',
                current_user);
    end if;

    select string_agg(wanted.name, ', ')
    into absent_roles
    from unnest(array['anon', 'authenticated', 'service_role']) as wanted (name)
    where to_regrole(wanted.name) is null;

    if absent_roles is not null and not exists (
        select from pg_roles where rolname = current_user and (rolcreaterole or rolsuper)
    ) then
        raise exception 'role % may not create the missing roles: %',
            current_user, absent_roles
            using errcode = 'insufficient_privilege',
            hint = 'As a role with CREATEROLE, run: create role <name> nologin noinherit;';
    end if;

    if exists (
        select from pg_roles
        where rolname in ('authenticated', 'service_role')
            and not has_schema_privilege(oid, 'public', 'usage')
    ) then
        raise exception 'authenticated and service_role need USAGE on schema public'
            using errcode = 'insufficient_privilege', hint =
                'As the owner of the schema, run: '
                'grant usage on schema public to authenticated, service_role;';
    end if;

    -- USAGE is checked first: without it, looking up auth.uid() raises an error of its own.
    if to_regnamespace('auth') is not null then
        if not has_schema_privilege('auth', 'usage') then
            raise exception 'role % may not use schema auth', current_user
                using errcode = 'insufficient_privilege', hint = format(
                    'As the owner of the schema, run: grant usage on schema auth to %I;',
                    current_user);
        elsif to_regprocedure('auth.uid()') is null then
            raise exception 'schema auth exists but has no function auth.uid()'
                using errcode = 'undefined_function', hint =
                    'This is not Supabase''s schema auth. Create a function auth.uid() '
                    'that returns uuid, or rename the schema.';
        elsif not has_function_privilege('auth.uid()', 'execute') then
            raise exception 'role % may not execute auth.uid()', current_user
                using errcode = 'insufficient_privilege', hint = format(
                    'As its owner, run: grant execute on function auth.uid() to %I;',
                    current_user);
        end if;
    end if;

    -- "if not exists" would skip an object of another owner, and a later migration would fail.
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
        raise exception 'these objects already exist and are not owned by %: %',
            current_user, foreign_owned
            using errcode = 'insufficient_privilege',
            hint = 'Rename or drop these objects, or run the migrations as their owner.';
    end if;
end
$$;

-- Roles are shared by the whole cluster: Supabase already has them, and a migration of another
-- database may be creating them at the same time.
do $$
declare
    api_role record;
begin
    for api_role in
        select *
        from (
            values
            ('anon', 'Requests without a signed-in user. Has no privileges.'),
            ('authenticated', 'Requests of a signed-in user. Restricted by row-level security.'),
            ('service_role', 'The platform''s back end. Accesses every tenant; invariants apply.')
        ) as wanted (name, purpose)
        where to_regrole(wanted.name) is null
    loop
        begin
            execute format('create role %I nologin noinherit', api_role.name);
            execute format('comment on role %I is %L', api_role.name, api_role.purpose);
        exception
            when duplicate_object or unique_violation then
                null;  -- created by another session since the check
        end;
    end loop;
end
$$;

-- Without Supabase, create functions that behave like Supabase's own. The comment on the
-- schema marks it as a stand-in: the rollback drops only a schema with this comment.
do $$
begin
    if to_regnamespace('auth') is not null then
        return;
    end if;

    create schema auth;
    comment on schema auth is
        'Stand-in for Supabase''s schema auth, made by 0001_create_auth_and_roles.';

    -- The claims of the request decide. The settings of single claims are those of an older
    -- PostgREST; Supabase's own functions read these first, so one that is left in a session would
    -- be the identity of every later request.
    --
    -- SQL-standard bodies resolve names at creation, so search_path is not set. Setting it would
    -- prevent these functions from being inlined into the helpers of 0006, as Supabase's own are.
    create function auth.jwt()
    returns jsonb
    language sql
    stable
    parallel safe
    return coalesce(
        nullif(current_setting('request.jwt.claims', true), ''),
        nullif(current_setting('request.jwt.claim', true), '')
    )::jsonb;
    comment on function auth.jwt() is
        'All claims of the request; null outside a request. Raises an error on invalid JSON.';

    -- json, not jsonb, because only one claim is read.
    create function auth.uid()
    returns uuid
    language sql
    stable
    parallel safe
    return nullif(
        case
            when nullif(current_setting('request.jwt.claims', true), '') is null
                then current_setting('request.jwt.claim.sub', true)
            else current_setting('request.jwt.claims', true)::json ->> 'sub'
        end,
        ''
    )::uuid;
    comment on function auth.uid() is
        'The signed-in user (claim sub); null without one. Raises an error on an invalid uuid.';

    create function auth.role()
    returns text
    language sql
    stable
    parallel safe
    return case
        when nullif(current_setting('request.jwt.claims', true), '') is null
            then nullif(current_setting('request.jwt.claim.role', true), '')
        else current_setting('request.jwt.claims', true)::json ->> 'role'
    end;
    comment on function auth.role() is
        'The claim role; null without one. For information only: no policy depends on it.';

    revoke all on all functions in schema auth from public;
    grant usage on schema auth to authenticated, service_role;
    grant execute on all functions in schema auth to authenticated, service_role;
end
$$;

-- Checked first, because "create schema if not exists" needs CREATE even if the schema exists.
do $$
begin
    if to_regnamespace('app') is null then
        create schema app;
    end if;
end
$$;
comment on schema app is
    'Helpers, trigger functions and the id generator. Not exposed by the API; no tenant data.';
revoke all on schema app from public;
grant usage on schema app to authenticated, service_role;

-- The privileges that the next statements revoke, so that the rollback restores exactly these.
create table if not exists app.privileges_before as
select
    kind.objects,
    scope.clause,
    acl.privilege_type as privilege,
    case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end as grantee,
    case when acl.is_grantable then 'with grant option' else '' end as grant_option
from pg_roles as this_role
cross join (
    values ('r', 'tables'), ('S', 'sequences'), ('f', 'functions')
) as kind (letter, objects)
cross join (
    values (0::oid, ''), ('public'::regnamespace::oid, 'in schema public')
) as scope (namespace, clause)
left join pg_default_acl as changed
    on changed.defaclrole = this_role.oid
    and changed.defaclnamespace = scope.namespace
    and changed.defaclobjtype = kind.letter::"char"
cross join lateral aclexplode(
    coalesce(
        changed.defaclacl,
        case when scope.namespace = 0 then acldefault(lower(kind.letter)::"char", this_role.oid) end
    )
) as acl
where this_role.rolname = current_user
    and acl.grantee in (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
union all
select
    'database' as objects,
    '' as clause,
    acl.privilege_type as privilege,
    'public' as grantee,
    '' as grant_option
from pg_database as db
cross join lateral aclexplode(coalesce(db.datacl, acldefault('d', db.datdba))) as acl
where db.datname = current_database()
    and acl.grantee = 0
    and acl.privilege_type = 'TEMPORARY'
    and pg_has_role(db.datdba, 'usage')
union all
select
    'schema public' as objects,
    '' as clause,
    acl.privilege_type as privilege,
    'public' as grantee,
    '' as grant_option
from pg_namespace as nsp
cross join lateral aclexplode(coalesce(nsp.nspacl, acldefault('n', nsp.nspowner))) as acl
where nsp.nspname = 'public'
    and acl.grantee = 0
    and acl.privilege_type = 'CREATE'
    and pg_has_role(nsp.nspowner, 'usage');
comment on table app.privileges_before is
    'Privileges revoked by 0001_create_auth_and_roles. Its rollback grants them again.';
revoke all on app.privileges_before from public, anon, authenticated, service_role;

-- Objects that this role creates from now on grant nothing until a grant names a role. By default,
-- Supabase grants anon every new table and PostgreSQL grants PUBLIC every new function. The latter
-- is only revoked by the form without "in schema".
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

-- A tenant who can create objects, even temporary ones, can shadow a name that other code uses.
-- Only the owner can revoke these two privileges; any other role gets a notice, not an error.
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
