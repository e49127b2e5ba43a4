-- What the database was when the last run ended, by which migration, and when (UTC). Nothing where a
-- run broke off, or stock yoyo wrote last: nobody knows what it was then.
select
    to_jsonb(l) ->> 'fingerprint',
    l.migration_id,
    l.created_at_utc
from yoyo._yoyo_log as l
where not exists (select from yoyo.progress)
order by l.created_at_utc desc
limit 1
