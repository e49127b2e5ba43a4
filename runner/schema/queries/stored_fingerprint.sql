-- The fingerprint at the end of the last run, its last migration, and when (UTC). No row where a run
-- was interrupted or stock yoyo wrote last: the fingerprint is then unknown.
select
    to_jsonb(l) ->> 'fingerprint',
    l.migration_id,
    l.created_at_utc
from yoyo._yoyo_log as l
where not exists (select from yoyo.progress)
order by l.created_at_utc desc
limit 1
