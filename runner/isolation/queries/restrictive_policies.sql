-- The restrictive policies, the statements that drop them, and whether this role may do so.

select
    c.relname::text as name,
    string_agg(format('drop policy %%I on public.%%I', p.polname, c.relname), '; ') as drop_policies,
    pg_catalog.pg_has_role(c.relowner, 'usage') as is_owner
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_class as c on c.oid = p.polrelid
where c.relnamespace = 'public'::pg_catalog.regnamespace
    and c.relname = any (%(tables)s)
    and not p.polpermissive
group by c.oid, c.relname, c.relowner
order by c.relname
