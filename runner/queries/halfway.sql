-- Whose way back was begun, outside a transaction, and did not come to its end.
select distinct substr(migration_id, length('rollback ') + 1)
from yoyo.progress
where starts_with(migration_id, 'rollback ')
