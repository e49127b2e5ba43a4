-- What was begun outside a transaction, and did not come to its end.
select distinct migration_id
from yoyo.progress
