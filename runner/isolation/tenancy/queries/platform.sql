-- The schemas of a platform such as Supabase, each with every role that owns what is the platform's there.

with {scope}

select s.nspname::text, r.rolname::text
from all_schemas as s
cross join platform_roles as p
inner join pg_roles as r on r.oid = p.oid
where s.is_platforms
