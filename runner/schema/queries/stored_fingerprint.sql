-- The fingerprint at the end of the last run, its last migration, when (UTC), and whether no row of the
-- catalog was written since. No row where a run was interrupted or stock yoyo wrote last: the
-- fingerprint is then unknown.
with
{versions}
select
    split_part(to_jsonb(l) ->> 'fingerprint', ' ', -1),
    l.migration_id,
    l.created_at_utc,
    split_part(to_jsonb(l) ->> 'fingerprint', ' ', 1) = (
        select bit_xor(hashint8extended(v.version, v.owner::bigint))::text from versions as v
    )
from yoyo._yoyo_log as l
where not exists (select from yoyo.progress)
order by l.created_at_utc desc
limit 1
