-- Roles belong to the whole cluster, so each of these has an undo statement.
select change.kind, change.name, change.object, change.sql, change.undo
from (
    values
    (
        'role attribute', 'anon with BYPASSRLS', 'anon',
        'alter role anon bypassrls', 'alter role anon nobypassrls'
    ),
    (
        'role attribute', 'authenticated with BYPASSRLS', 'authenticated',
        'alter role authenticated bypassrls', 'alter role authenticated nobypassrls'
    ),
    (
        'role attribute', 'anon a superuser', 'anon',
        'alter role anon superuser', 'alter role anon nosuperuser'
    ),
    (
        'role attribute', 'authenticated a superuser', 'authenticated',
        'alter role authenticated superuser', 'alter role authenticated nosuperuser'
    ),
    (
        'role attribute', 'authenticated with CREATEROLE', 'authenticated',
        'alter role authenticated createrole', 'alter role authenticated nocreaterole'
    ),
    (
        'role attribute', 'authenticated with REPLICATION', 'authenticated',
        'alter role authenticated replication', 'alter role authenticated noreplication'
    ),
    (
        'role membership', 'service_role granted to authenticated', 'service_role',
        'grant service_role to authenticated', 'revoke service_role from authenticated'
    ),
    (
        'role membership', 'service_role granted to anon', 'service_role',
        'grant service_role to anon', 'revoke service_role from anon'
    ),
    (
        'role membership', 'authenticated granted to anon', 'anon',
        'grant authenticated to anon', 'revoke authenticated from anon'
    ),
    (
        'role membership', 'pg_read_all_data granted to authenticated', 'pg_read_all_data',
        'grant pg_read_all_data to authenticated', 'revoke pg_read_all_data from authenticated'
    ),
    (
        'role membership', 'pg_write_all_data granted to authenticated', 'pg_write_all_data',
        'grant pg_write_all_data to authenticated', 'revoke pg_write_all_data from authenticated'
    ),
    (
        'role membership', 'pg_execute_server_program granted to authenticated',
        'pg_execute_server_program',
        'grant pg_execute_server_program to authenticated',
        'revoke pg_execute_server_program from authenticated'
    ),
    (
        'login role with BYPASSRLS', 'a login role with BYPASSRLS granted to authenticated',
        'mutant_login',
        'create role mutant_login login bypassrls; grant mutant_login to authenticated',
        'drop role mutant_login'
    ),
    (
        'login role with BYPASSRLS', 'the same through another role, without INHERIT',
        'mutant_group',
        'create role mutant_login login noinherit bypassrls; create role mutant_group noinherit; '
        'grant mutant_login to mutant_group; grant mutant_group to anon',
        'drop role mutant_group, mutant_login'
    ),
    (
        'login role with BYPASSRLS', 'the login role of the API with BYPASSRLS',
        'mutant_login',
        'create role mutant_login login noinherit bypassrls; '
        'grant anon, authenticated to mutant_login',
        'drop role mutant_login'
    ),
    (
        'login role with BYPASSRLS', 'the login role of the API as a superuser',
        'mutant_login',
        'create role mutant_login login noinherit superuser; '
        'grant anon, authenticated to mutant_login',
        'drop role mutant_login'
    )
) as change (kind, name, object, sql, undo)
union all
select
    'role membership',
    format('the owner of the tables, %I, granted to authenticated', owner.rolname),
    owner.rolname::text,
    format('grant %I to authenticated', owner.rolname),
    format('revoke %I from authenticated', owner.rolname)
from pg_class as rel
inner join pg_roles as owner on owner.oid = rel.relowner
where rel.oid = :'tenant_table'::regclass
union all
select
    'setting',
    format('authenticated may set %s', setting.name),
    setting.name,
    format('grant set on parameter %s to authenticated', setting.name),
    format('revoke set on parameter %s from authenticated', setting.name)
from (values ('session_replication_role')) as setting (name)
union all
select
    'setting',
    format('%s is %s in the database', setting.name, setting.value),
    setting.name,
    format(
        'do $do$ begin execute format('
        '''alter database %%I set %s = %s'', current_database()); end $do$',
        setting.name, setting.value
    ),
    ''
from (values ('session_replication_role', 'replica')) as setting (name, value)
order by kind, name;
