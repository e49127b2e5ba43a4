-- Roles belong to the whole cluster, so each of these has an undo statement.
select
    'role attribute' as kind,
    format('%s with %s', role.name, upper(attribute.name)) as name,
    role.name as object,
    format('alter role %I %s', role.name, attribute.name) as sql,
    format('alter role %I no%s', role.name, attribute.name) as undo
from api_role as role
cross join (values ('bypassrls'), ('superuser'), ('createrole'), ('replication')) as attribute (name)
where role.kind = 'member'
    or role.kind = 'anonymous' and attribute.name in ('bypassrls', 'superuser')
union all
select
    'role membership',
    format('%s granted to %s', given.name, member.name),
    case when given.kind = 'member' then member.name else given.name end,
    format('grant %I to %I', given.name, member.name),
    format('revoke %I from %I', given.name, member.name)
from api_role as given
inner join api_role as member
    on (given.kind, member.kind) in (
        ('platform', 'member'), ('platform', 'anonymous'), ('member', 'anonymous')
    )
where not pg_has_role(member.name, given.name, 'member')
union all
select
    'role membership',
    format('%s granted to %s', given.name, member.name),
    given.name,
    format('grant %I to %I', given.name, member.name),
    format('revoke %I from %I', given.name, member.name)
from (
    values ('pg_read_all_data'), ('pg_write_all_data'), ('pg_execute_server_program')
) as given (name)
cross join (select name from api_role where kind = 'member') as member
union all
select 'login role with BYPASSRLS', change.name, change.object, change.sql, change.undo
from (
    select
        quote_ident(min(name) filter (where kind = 'member')) as member,
        quote_ident(min(name) filter (where kind in ('anonymous', 'member'))) as client
    from api_role
) as role
cross join lateral (
    values
    (
        format('a login role with BYPASSRLS granted to %s', role.member),
        'mutant_login',
        format('create role mutant_login login bypassrls; grant mutant_login to %s', role.member),
        'drop role mutant_login'
    ),
    (
        'the same through another role, without INHERIT',
        'mutant_group',
        'create role mutant_login login noinherit bypassrls; create role mutant_group noinherit; '
        || format('grant mutant_login to mutant_group; grant mutant_group to %s', role.client),
        'drop role mutant_group, mutant_login'
    ),
    (
        'the login role of the API with BYPASSRLS',
        'mutant_login',
        'create role mutant_login login noinherit bypassrls; '
        || format('grant %s to mutant_login', role.member),
        'drop role mutant_login'
    ),
    (
        'the login role of the API as a superuser',
        'mutant_login',
        'create role mutant_login login noinherit superuser; '
        || format('grant %s to mutant_login', role.member),
        'drop role mutant_login'
    )
) as change (name, object, sql, undo)
union all
select
    'role membership',
    format('the owner of tables, %s, granted to %s', owner.rolname, member.name),
    owner.rolname::text,
    format('grant %I to %I', owner.rolname, member.name),
    format('revoke %I from %I', owner.rolname, member.name)
from (select distinct owner from project_table where is_secured) as rel
inner join pg_roles as owner on owner.oid = rel.owner
cross join (select name from api_role where kind = 'member') as member
where not exists (  -- PostgreSQL refuses a circle
    select from pg_auth_members as m
    where m.roleid = to_regrole(quote_ident(member.name)) and m.member = owner.oid
)
union all
select
    'setting',
    format('%s may set session_replication_role', member.name),
    'session_replication_role',
    format('grant set on parameter session_replication_role to %I', member.name),
    format('revoke set on parameter session_replication_role from %I', member.name)
from (select name from api_role where kind = 'member') as member
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
