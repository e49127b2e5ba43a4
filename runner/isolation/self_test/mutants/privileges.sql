-- Every privilege that an API role lacks, granted: on tables, columns, schemas and the database.
with
members as (select name from api_role where kind = 'member'),
verbs (name) as (
    select unnest(array[
        'select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'
    ])
    union all
    select 'maintain'
    where current_setting('server_version_num')::int >= 170000
)
select
    'table privilege' as kind,
    format('grant %s on %s to %I', verb.name, tab.name, role.name) as name,
    tab.name::text as object,
    format('grant %s on %s to %I', verb.name, tab.name, role.name) as sql
from project_table as tab
cross join api_role as role
cross join verbs as verb
where not has_table_privilege(role.name, tab.oid, verb.name)
union all
select
    'table privilege to public',
    format('grant %s on %s to public', verb.name, tab.name),
    tab.name::text,
    format('grant %s on %s to public', verb.name, tab.name)
from project_table as tab
cross join (values ('select')) as verb (name)
union all
select
    'grant option',
    format('grant select on %s to %I with grant option', tab.name, role.name),
    tab.name::text,
    format('grant select on %s to %I with grant option', tab.name, role.name)
from project_table as tab
cross join members as role
union all
select
    'column privilege',
    format('grant %s (%I) on %s to %I', verb.name, col.attname, tab.name, role.name),
    tab.name::text,
    format('grant %s (%I) on %s to %I', verb.name, col.attname, tab.name, role.name)
from project_table as tab
cross join members as role
inner join pg_attribute as col
    on col.attrelid = tab.oid and col.attnum > 0 and not col.attisdropped
cross join (values ('insert'), ('update')) as verb (name)
where not has_column_privilege(role.name, tab.oid, col.attnum, verb.name)
union all
select
    'column privilege to anon',
    format('grant %s (%I) on %s to %I', verb.name, col.attname, tab.name, role.name),
    tab.name::text,
    format('grant %s (%I) on %s to %I', verb.name, col.attname, tab.name, role.name)
from project_table as tab
cross join (select name from api_role where kind = 'anonymous') as role
inner join pg_attribute as col on col.attrelid = tab.oid and col.attnum = 1
cross join (values ('select')) as verb (name)
where not has_column_privilege(role.name, tab.oid, col.attnum, 'select')
union all
select
    'schema privilege',
    format('grant create on schema %I to %s', space.nspname, grantee.name),
    format('schema %I', space.nspname),
    format('grant create on schema %I to %s', space.nspname, grantee.name)
from pg_namespace as space
cross join (select quote_ident(name) as name from api_role union all select 'public') as grantee
where space.nspname !~ '^pg_' and space.nspname <> 'information_schema'
union all
select
    'schema privilege',
    format('grant usage on schema %I to %s', given.space, given.grantee),
    format('schema %I', given.space),
    format('grant usage on schema %I to %s', given.space, given.grantee)
from (
    select internal.space, quote_ident(role.name)
    from jsonb_array_elements_text(:'internal_schemas'::jsonb) as internal (space)
    cross join (select name from api_role where kind = 'anonymous') as role
    union all
    select internal.space, 'public'
    from jsonb_array_elements_text(:'internal_schemas'::jsonb) as internal (space)
    union all
    select 'yoyo', quote_ident(name) from client_role
) as given (space, grantee)
union all
select
    'migration tables readable',
    format('migration tables and their schema granted to %I', role.name),
    'schema yoyo',
    format('grant usage on schema yoyo to %I; ', role.name)
    || format('grant select on all tables in schema yoyo to %I', role.name)
from api_role as role
union all
select
    'database privilege',
    format('grant %s on the database to %s', verb.name, quote_ident(grantee.name)),
    concat_ws(' or ', 'database', 'role ' || nullif(grantee.name, 'public')),
    format(
        'do $do$ begin execute format('
        '''grant %s on database %%I to %s'', current_database()); end $do$',
        verb.name, quote_ident(grantee.name)
    )
from (values ('temporary'), ('create')) as verb (name)
cross join (select name from api_role union all select 'public') as grantee
where not has_database_privilege(grantee.name, current_database(), verb.name)
order by kind, name;
