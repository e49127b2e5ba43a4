-- Files outside a transaction that were started and not completed.
select distinct migration_id
from yoyo.progress
