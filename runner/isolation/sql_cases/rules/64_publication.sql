-- 64_publication
-- A publication that replicates rows of tenant tables.
-- source: https://www.postgresql.org/docs/current/logical-replication-security.html
-- why: Policies do not apply to replicated rows; Supabase Realtime checks them again, other
--   subscribers do not.
-- level: warning

select
    format('publication %I', p.pubname) as object,
    format('it replicates %s, bypassing their policies', string_agg(t.title, ', ' order by t.title))
        as problem,
    format('drop publication %I;  -- or create it without these tables', p.pubname) as fix
from pg_publication as p
inner join tenant_table as t on p.puballtables or exists (
    select from pg_publication_rel as r
    where r.prpubid = p.oid and r.prrelid = t.oid
) or exists (
    select from pg_publication_namespace as s
    inner join pg_class as c on c.relnamespace = s.pnnspid
    where s.pnpubid = p.oid and c.oid = t.oid
)
group by p.pubname
