-- Row-level security disabled, forced where it must not be, or not forced where it must be.
select
    'row security disabled' as kind,
    format('row-level security disabled on %s', name) as name,
    name::text as object,
    format('alter table %s disable row level security', name) as sql
from project_table
where is_secured
union all
-- It must be forced exactly if the owner is superuser or has BYPASSRLS.
select
    'force inverted',
    format(
        '%s row-level security on %s', case when is_forced then 'not forced' else 'forced' end, name
    ),
    name::text,
    format(
        'alter table %s %s row level security',
        name, case when is_forced then 'no force' else 'force' end
    )
from project_table
where is_secured
union all
select
    'table owned by the API',
    format('%s owned by %s', rel.name, role.name),
    rel.name::text,
    format('alter table %s owner to %I', rel.name, role.name)
from project_table as rel
cross join (select name from api_role where kind = 'member') as role
where rel.is_secured
order by kind, name;
