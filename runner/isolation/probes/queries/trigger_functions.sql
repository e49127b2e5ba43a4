-- The functions that the enabled triggers of a table call for a command.

select format(
    'trigger %%I calls %%I.%%I()%%s',
    t.tgname,
    n.nspname,
    p.proname,
    case when p.prosecdef then ', with the rights of ' || quote_ident(r.rolname) else '' end
)
from pg_catalog.pg_trigger as t
inner join pg_catalog.pg_proc as p on p.oid = t.tgfoid
inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
inner join pg_catalog.pg_roles as r on r.oid = p.proowner
where t.tgrelid = %(table)s::pg_catalog.regclass
    and not t.tgisinternal
    and t.tgenabled <> 'D'
    and t.tgtype & case %(command)s
        when 'insert' then 4 when 'delete' then 8 when 'update' then 16 else 0
    end <> 0
order by 1
