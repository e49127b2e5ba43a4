-- Row-level security disabled, or no longer forced.
select
    'row security disabled' as kind,
    format('row-level security disabled on %s', name) as name,
    name::text as object,
    format('alter table %s disable row level security', name) as sql
from project_table
where is_secured
union all
select
    'row security not forced',
    format('row-level security not forced on %s', name),
    name::text,
    format('alter table %s no force row level security', name)
from project_table
where is_secured and is_forced
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
