"""What a new project of Supabase has, as far as a server without its extensions can."""

# The initial state of a Supabase project; auth.uid() is defined as in Supabase.
SUPABASE = """
create role {owner} login createrole bypassrls password 'applies';
create role {auth_admin} nologin;
grant anon, authenticated, service_role to {owner};
grant create, connect, temporary on database {database} to {owner};
grant usage, create on schema public to {owner};
grant usage on schema public to anon, authenticated, service_role;
create schema auth authorization {auth_admin};
set role {auth_admin};
create function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
create function auth.role() returns text language sql stable as $$
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
$$;
create function auth.jwt() returns jsonb language sql stable as $$
    select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;
create table auth.users (id uuid primary key, email text);
grant usage on schema auth to anon, authenticated, service_role, {owner};
reset role;
create schema storage authorization {auth_admin};
create table storage.objects (id int primary key, owner uuid);
alter table storage.objects owner to {auth_admin};
grant usage on schema storage to anon, authenticated, service_role, {owner};
grant all on storage.objects to anon, authenticated, service_role;
create publication supabase_realtime;
alter publication supabase_realtime owner to {owner};
alter default privileges for role {owner} in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on sequences to anon, authenticated, service_role;
"""
