-- Files outside a transaction that were started and not completed, with the number of statements
-- that are done.
select
    migration_id,
    count(*) filter (where statement_number >= 0)
from yoyo.progress
group by migration_id
