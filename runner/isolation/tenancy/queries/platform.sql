-- The schemas of a platform such as Supabase.

with {scope}

select s.nspname::text
from all_schemas as s
where s.is_platforms
