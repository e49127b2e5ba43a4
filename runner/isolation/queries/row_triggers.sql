-- The triggers that may skip a row before it is updated: of which table, whether they also fire for
-- replication, and the columns that they are about, if not all.
select
    coalesce(pg_catalog.pg_partition_root(t.tgrelid), t.tgrelid)::oid::bigint,
    t.tgenabled in ('A', 'R'),
    array(
        select a.attname::text
        from pg_catalog.pg_attribute as a
        where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[])
    )
from pg_catalog.pg_trigger as t
where not t.tgisinternal
    and t.tgenabled <> 'D'
    and t.tgtype & 1 <> 0 -- for each row
    and t.tgtype & (2 | 64) <> 0 -- before, or instead of
    and t.tgtype & 16 <> 0 -- update
