-- Default privileges that give access to new tables, sequences and functions.
select
    'default privileges' as kind,
    format('default privileges%s: %s to %s', scope.clause, kinds.sql, grantee.name) as name,
    grantee.name as object,
    format('alter default privileges%s ', scope.clause)
    || format('grant %s to %s', kinds.sql, grantee.name) as sql
from (
    select '' as clause
    union all
    select distinct format(' in schema %I', schema_name) from project_table
) as scope
cross join (
    values
    ('select on tables'), ('usage on sequences'), ('execute on functions')
) as kinds (sql)
cross join (
    select quote_ident(name) as name from client_role
    union all
    select 'public'
) as grantee
-- PostgreSQL's own default, until it is revoked
where not (
    (scope.clause, kinds.sql, grantee.name) = ('', 'execute on functions', 'public')
    and not exists (
        select from pg_default_acl as acl
        where acl.defaclnamespace = 0 and acl.defaclobjtype = 'f'
            and acl.defaclrole = current_user::regrole
    )
)
order by name;
