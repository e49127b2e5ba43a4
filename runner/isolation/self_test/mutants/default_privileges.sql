-- Default privileges that give access to new tables, sequences and functions.
select
    'default privileges' as kind,
    format('default privileges%s: %s to %s', scope.clause, kinds.sql, grantee.name) as name,
    grantee.name as object,
    format('alter default privileges%s ', scope.clause)
    || format('grant %s to %s', kinds.sql, grantee.name) as sql
from (values (''), (' in schema public')) as scope (clause)
cross join (
    values
    ('select on tables'), ('usage on sequences'), ('execute on functions')
) as kinds (sql)
cross join (values ('anon'), ('authenticated'), ('public')) as grantee (name)
order by name;
