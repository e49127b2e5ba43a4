-- What an object shows in the catalog may differ if its number here does, as text: owner:number. And
-- the role that owns the schema.
with
{scope},
{versions}
select string_agg(concat(owner, ':', version), ' '), (select oid::bigint from me)
from (
    select owner, bit_xor(version) as version from versions group by owner
    union all
    -- Whose schemas count, which decides what is shown of every object.
    select 1, hash_record_extended(row(me.oid, me.rolsuper), 0) from me
    union all
    select 1, bit_xor(hash_record_extended(row(s.oid, s.is_platforms), 0)) from all_schemas as s
) as v
