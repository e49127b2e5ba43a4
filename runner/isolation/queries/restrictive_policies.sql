-- The restrictive policies of tables, the statements that drop them, and whether this role may do so.

select
    c.oid::bigint,
    string_agg(format('drop policy %%I on %%I.%%I', p.polname, n.nspname, c.relname), '; '),
    pg_catalog.pg_has_role(c.relowner, 'usage') as is_owner
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_class as c on c.oid = p.polrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid = any (%(oids)s) and not p.polpermissive
group by c.oid, c.relname, c.relowner
order by c.relname
