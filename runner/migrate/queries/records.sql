-- What the ledger remembers, and of each whether its way back was begun, outside a transaction, and
-- did not come to its end.
select
    m.migration_id,
    m.applied_at_utc,
    m.content_sha256,
    m.code_sha256,
    m.duration_ms,
    m.applied_by,
    'rollback ' || m.migration_id in (select p.migration_id from yoyo.progress as p)
from yoyo._yoyo_migration as m
