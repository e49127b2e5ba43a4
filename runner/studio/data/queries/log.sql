-- Migrations applied, rolled back or marked, newest first.
select
    created_at_utc,
    operation::text,
    migration_id::text,
    username::text,
    hostname::text
from yoyo._yoyo_log
order by created_at_utc desc, id
limit 200
