-- The call of the function before each request, for the connecting role ('') and the roles that may
-- make it. No row, if the database does not have the function.

select
    role,
    format('select %%I.%%I()', n.nspname, p.proname)
from unnest(%(roles)s::text[]) as role
inner join pg_catalog.pg_proc as p
    on p.oid = pg_catalog.to_regprocedure(nullif(%(function)s, '') || '()')
inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where role = ''
    or case
        when pg_catalog.has_schema_privilege(role, n.oid, 'usage')
            then pg_catalog.has_function_privilege(role, p.oid, 'execute')
    end
