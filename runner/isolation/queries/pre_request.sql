-- The call of the function before each request, for the connecting role ('') and the roles that may
-- make it. No row, if the database does not have the function. Its name is compared, because looking
-- it up is an error for a role that may not use the schema.

select
    role,
    format('select %%I.%%I()', n.nspname, p.proname)
from unnest(%(roles)s::text[]) as role
inner join pg_catalog.pg_proc as p
    on p.proname = split_part(%(function)s::text, '.', 2) and p.pronargs = 0
inner join pg_catalog.pg_namespace as n
    on n.oid = p.pronamespace and n.nspname = split_part(%(function)s::text, '.', 1)
where role = ''
    or case
        when pg_catalog.has_schema_privilege(role, n.oid, 'usage')
            then pg_catalog.has_function_privilege(role, p.oid, 'execute')
    end
