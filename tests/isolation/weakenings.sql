-- Weakenings of the schema in sql/, for test_surface.py. Each block is one: its name, the objects that
-- verify has to name, and the statements. A superuser runs it in a transaction that is rolled back.

-- weakening: the organization of the caller is taken from a setting that any session may set
-- object: function app.caller_org()
create or replace function app.caller_org() returns text language plpgsql stable parallel safe
security definer set search_path = pg_catalog, pg_temp as $$
begin
    return coalesce(
        nullif(current_setting('app.act_as_org', true), ''),
        (select u.org_id from public.users as u where u.auth_user_id = auth.uid())
    );
end $$;

-- weakening: without a linked account, the e-mail address of the token decides
-- object: function app.caller_org()
create or replace function app.caller_org() returns text language plpgsql stable parallel safe
security definer set search_path = pg_catalog, pg_temp as $$
begin
    return coalesce(
        (select u.org_id from public.users as u where u.auth_user_id = auth.uid()),
        (select u.org_id from public.users as u where u.email = auth.jwt() ->> 'email')
    );
end $$;

-- weakening: a key in the settings of an organization, which its OWNER writes, names another one
-- object: function app.caller_org()
create or replace function app.caller_org() returns text language plpgsql stable parallel safe
security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (
        select coalesce(o.settings ->> 'parent', o.id)
        from public.organizations as o
        inner join public.users as u on u.org_id = o.id
        where u.auth_user_id = auth.uid()
    );
end $$;

-- weakening: a claim that users write themselves counts as any role
-- object: function app.caller_org_as(public.user_role[])
create or replace function app.caller_org_as(variadic wanted public.user_role[]) returns text
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (
        select u.org_id
        from public.users as u
        where u.auth_user_id = auth.uid()
            and (u.roles && wanted or auth.jwt() -> 'user_metadata' ->> 'superrole' = 'yes')
    );
end $$;

-- weakening: another claim is preferred to sub
-- object: function auth.uid()
create or replace function auth.uid() returns uuid language sql stable parallel safe
return coalesce(
    nullif(current_setting('request.jwt.claims', true), '')::json -> 'act' ->> 'sub',
    nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'
)::uuid;

-- weakening: a definer function that returns all e-mail addresses
-- object: function app.everybody()
create function app.everybody() returns setof text language sql stable security definer
set search_path = pg_catalog, pg_temp as 'select email from public.users';
revoke all on function app.everybody() from public;
grant execute on function app.everybody() to authenticated;

-- weakening: an invoker function over a definer function that takes the organization
-- object: function app.org_stats(text)
create function app.org_stats(org text) returns bigint language sql stable security definer
set search_path = pg_catalog, pg_temp as 'select count(*) from public.projects where org_id = org';
create function public.org_stats(org text) returns bigint language sql stable
set search_path = pg_catalog, pg_temp as 'select app.org_stats(org)';
revoke all on function app.org_stats(text), public.org_stats(text) from public;
grant execute on function app.org_stats(text), public.org_stats(text) to authenticated;

-- weakening: an operator over a definer function
-- object: operator public.@@@(text,text)
create function app.peek(a text, b text) returns text language sql stable security definer
set search_path = pg_catalog, pg_temp as $$select string_agg(email, ',') from public.users$$;
revoke all on function app.peek(text, text) from public;
grant execute on function app.peek(text, text) to authenticated;
create operator public.@@@ (leftarg = text, rightarg = text, function = app.peek);

-- weakening: a trigger sends changed rows to any session that listens
-- object: trigger public.users.z_tell
create function app.tell() returns trigger language plpgsql volatile
set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('rows', to_jsonb(new)::text);
    return null;
end $$;
revoke all on function app.tell() from public;
create trigger z_tell after insert or update on public.users
for each row execute function app.tell();

-- weakening: a definer function in pg_catalog
-- object: function pg_catalog.everybody()
create function pg_catalog.everybody() returns setof text language sql stable security definer
set search_path = pg_catalog, pg_temp as 'select email from public.users';

-- weakening: a copy of a table in a schema with the name of a platform's
-- object: table storage.people
create schema storage;
grant usage on schema storage to authenticated;
create table storage.people as select * from public.users;
grant select on storage.people to authenticated;

-- weakening: the audit log also keeps values
-- object: function app.record_audit()
do $do$
begin
    execute replace(
        pg_get_functiondef('app.record_audit()'::regprocedure), 'having count(*) > 0;',
        'having count(*) > 0; details := details || jsonb_build_object(''was'', before);'
    );
end $do$;

-- weakening: inserts are not recorded while a setting is on
-- object: function app.record_insert()
do $do$
begin
    execute replace(
        pg_get_functiondef('app.record_insert()'::regprocedure), '    if tg_argv[0]',
        '    if current_setting(''app.import'', true) = ''on'' then return null; end if; if tg_argv[0]'
    );
end $do$;

-- weakening: the time of an approval is taken from what the client sends
-- object: function app.guard_approval()
do $do$
begin
    execute replace(
        pg_get_functiondef('app.guard_approval()'::regprocedure), 'new.approved_at := now();',
        'new.approved_at := coalesce((new.metadata ->> ''approved_at'')::timestamptz, now());'
    );
end $do$;

-- weakening: updated_at is set for a change of name only
-- object: function app.touch_updated_at()
do $do$
begin
    execute replace(
        pg_get_functiondef('app.touch_updated_at()'::regprocedure), 'if new is distinct from old',
        'if new.name is distinct from old.name'
    );
end $do$;

-- weakening: an API role owns the type of roles, so a tenant may rename its labels
-- object: type public.user_role
alter type public.user_role owner to authenticated;

-- weakening: a login of the API owns the database
-- object: database this
create role weak_login login noinherit;
grant anon, authenticated to weak_login;
do $do$ begin execute format('alter database %I owner to weak_login', current_database()); end $do$;

-- weakening: tenants may list the folders of the server
-- object: system function pg_ls_dir(text)
grant execute on function pg_ls_dir(text), pg_stat_file(text) to authenticated;

-- weakening: every role may read the catalogs that contain passwords
-- object: system table pg_user_mapping
grant select on pg_user_mapping, pg_subscription to public;

-- weakening: pattern matching is declared leakproof
-- object: system function textlike(text,text)
alter function pg_catalog.textlike(text, text) leakproof;
alter function pg_catalog.texticlike(text, text) leakproof;
alter function pg_catalog.textregexeq(text, text) leakproof;

-- weakening: a login of the API may pass its roles on
-- object: membership authenticated to weak_login
create role weak_login login noinherit;
grant anon, authenticated to weak_login with admin option;

-- weakening: every session of the database starts as service_role
-- object: setting all roles in this database
do $do$ begin execute format('alter database %I set role = ''service_role''', current_database()); end $do$;

-- weakening: a secret in a setting that every role may read
-- object: setting all roles in this database
do $do$
begin
    execute format('alter database %I set app.settings.jwt_secret = ''hush''', current_database());
end $do$;

-- weakening: default privileges of a role that owns nothing yet
-- object: default privileges of another role tables in public of weak_deployer
create role weak_deployer login;
grant create, usage on schema public to weak_deployer;
alter default privileges for role weak_deployer in schema public
grant all on tables to anon, authenticated;

-- weakening: a foreign server that tenants may use, with a password for every role
-- object: server weak_loop
create foreign data wrapper weak_wrapper;
create server weak_loop foreign data wrapper weak_wrapper 
options (host 'localhost', api_key 'hush');
create foreign table app.loop (a text options (secret 'hush')) server weak_loop
options (access_token 'hush');
create user mapping for public server weak_loop options (user 'postgres', password 'hush');
grant usage on foreign server weak_loop to authenticated;

-- weakening: an identity column counts over all tenants
-- object: column public.projects.no
alter table public.projects add column no bigint generated always as identity;

-- weakening: a new organization has the most expensive plan
-- object: column public.organizations.billing_plan
alter table public.organizations alter column billing_plan set default 'ENTERPRISE';

-- weakening: a rejected workflow may have half an approval
-- object: constraint public.workflows.workflows_approval_check
alter table public.workflows drop constraint workflows_approval_check,
add constraint workflows_approval_check check (
    status = 'rejected'
    or num_nonnulls(approver_id, approved_at) = case status when 'approved' then 2 else 0 end
);

-- weakening: the configuration may be an array
-- object: constraint public.projects.projects_config_check
alter table public.projects drop constraint projects_config_check,
add constraint projects_config_check check (jsonb_typeof(config) in ('object', 'array'));

-- weakening: a publication of all tables
-- object: publication weak_everything
create publication weak_everything for all tables;

-- weakening: a MEMBER may insert archived projects
-- object: policy public.projects.insert_admin
alter policy insert_admin on public.projects with check (
    org_id = (select app.caller_org_as('OWNER', 'ADMIN'))
    or (org_id = (select app.caller_org()) and status = 'archived')
);

-- weakening: an ADMIN may update the organization while it has one plan
-- object: policy public.organizations.update_owner
alter policy update_owner on public.organizations using (
    id = (select app.caller_org_as('OWNER'))
    or (id = (select app.caller_org_as('ADMIN')) and billing_plan = 'ENTERPRISE')
);

-- weakening: a guard that reads as the caller sees less of what it has to prevent
-- object: function app.keep_last_owner()
alter function app.keep_last_owner() security invoker;

-- weakening: a plan keeps the claims of its first caller, and system views are other ones
-- object: system function current_setting(text,boolean) | system table pg_stats | system table pg_cursors | system language c | system cast (bigint AS integer)
set local allow_system_table_mods = on;
alter function pg_catalog.current_setting(text, boolean) immutable;
alter view pg_catalog.pg_stats set (security_barrier = false);
create or replace view pg_catalog.pg_cursors as
select
    'a'::text as name, 'b'::text as statement, true as is_holdable, true as is_binary,
    true as is_scrollable, now() as creation_time;
update pg_language set lanpltrusted = true where lanname = 'c';
update pg_cast set castcontext = 'i'
where castsource = 'bigint'::regtype and casttarget = 'integer'::regtype;

-- weakening: a table is moved into an extension, whose objects are not reviewed
-- object: extension contents plpgsql
alter extension plpgsql add table public.users;
alter table public.users disable row level security;

-- weakening: API roles own what the server, PostgreSQL or the migrations made
-- object: schema yoyo | table yoyo._yoyo_migration | system language plpgsql | system type jsonb | system operator =(text,text) | large objects some
alter schema yoyo owner to authenticated;
alter table yoyo._yoyo_migration owner to authenticated;
alter language plpgsql owner to authenticated;
alter type jsonb owner to authenticated;
alter operator pg_catalog.= (text, text) owner to authenticated;
select lo_create(4711);
alter large object 4711 owner to authenticated;

-- weakening: privileges on system columns, and on a tablespace
-- object: column public.audit_logs.ctid | column yoyo._yoyo_migration.ctid | tablespace pg_default
grant select (ctid) on public.audit_logs, yoyo._yoyo_migration to anon;
grant create on tablespace pg_default to authenticated;

-- weakening: logins that may become an administrator of the server
-- object: membership weak_boss to weak_login | membership weak_creator to weak_login
create role weak_boss superuser login;
create role weak_creator createrole login;
create role weak_login login;
grant weak_boss, weak_creator to weak_login;

-- weakening: an API that switches to anon applies its setting
-- object: setting anon
alter role anon set role = 'service_role';

-- weakening: a new table with privileges on its columns
-- object: table public.shelves
create table public.shelves (org_id text, label text);
grant select on public.shelves to authenticated;
grant insert (org_id, label), update (label) on public.shelves to authenticated;
