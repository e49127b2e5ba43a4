-- 52_preset_setting
-- A setting stored for a role or this database that presets claims, or disables triggers or
--   policies.
-- source: https://www.postgresql.org/docs/current/sql-alterrole.html (SET configuration_parameter)
-- why: Preset claims make every request without claims that user; replica disables triggers.

select
    concat_ws(
        ' in ',
        coalesce('role ' || quote_ident(r.rolname), 'all roles'),
        'database ' || quote_ident(d.datname)
    ) as object,
    format('it presets %s', setting) as problem,
    format(
        'alter %s reset %s;',
        coalesce(
            'role ' || quote_ident(r.rolname) || ' in database ' || quote_ident(d.datname),
            'role ' || quote_ident(r.rolname),
            'database ' || quote_ident(d.datname)
        ),
        quote_ident(split_part(setting, '=', 1))
    ) as fix
from pg_db_role_setting as s
left join pg_roles as r on r.oid = s.setrole
left join pg_database as d on d.oid = s.setdatabase
cross join lateral unnest(s.setconfig) as setting
where (s.setdatabase = 0 or d.datname = current_database())
    and (
        setting ilike 'request.jwt%'
        or :'settings'::jsonb ? split_part(setting, '=', 1)
        or setting ilike 'session_replication_role=%' and setting not ilike '%=origin'
        or setting ilike 'row_security=%' and setting not ilike '%=on'
        or setting ilike 'role=%' and r.rolname = 'authenticator' and setting not ilike '%=anon'
    )
