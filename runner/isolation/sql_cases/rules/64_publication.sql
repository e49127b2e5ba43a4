-- 64_publication
-- A publication that sends the rows of tenants' tables away.
-- source: https://www.postgresql.org/docs/current/logical-replication-security.html
-- why: Policies do not hold what is replicated; Supabase Realtime asks them again, others do not.
-- level: warning

select
    format('publication %I', p.pubname) as object,
    format('it sends %s away, past their policies', string_agg(t.title, ', ' order by t.title))
        as problem,
    format('drop publication %I;  -- or make it without these tables', p.pubname) as fix
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
