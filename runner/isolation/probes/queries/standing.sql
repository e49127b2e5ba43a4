-- Settings that decide who a session is and that are preset for a role or database, and schemas in
-- which a caller may create objects.

select
    case when r.rolname is null then 'database ' || d.datname else 'role ' || r.rolname end,
    format(
        'the setting %%s is preset for %%s: a session without identity has it',
        split_part(setting, '=', 1),
        coalesce(r.rolname, 'every role')
    ),
    case
        when r.rolname is null then format('alter database %%I reset %%s;', d.datname, split_part(setting, '=', 1))
        else format('alter role %%I reset %%s;', r.rolname, split_part(setting, '=', 1))
    end
from pg_catalog.pg_db_role_setting as s
cross join unnest(s.setconfig) as setting
left join pg_catalog.pg_roles as r on r.oid = s.setrole
left join pg_catalog.pg_database as d on d.oid = s.setdatabase
where (s.setdatabase = 0 or d.datname = pg_catalog.current_database())
    and split_part(setting, '=', 1) = any (
        %(settings)s::text[] || '{row_security,session_replication_role,role}'::text[]
    )

union all
select
    'schema ' || n.nspname,
    format('%%s may create objects in the schema %%s', role, n.nspname),
    format('revoke create on schema %%I from %%I, public;', n.nspname, role)
from pg_catalog.pg_namespace as n
cross join unnest(%(roles)s::text[]) as role
where n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and pg_catalog.has_schema_privilege(role, n.oid, 'create')
order by 1, 2
