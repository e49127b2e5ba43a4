-- The records of applied migrations, and whether the rollback of each was started outside a
-- transaction and not completed.
select
    m.migration_id,
    m.applied_at_utc,
    m.content_sha256,
    m.code_sha256,
    m.duration_ms,
    m.applied_by,
    'rollback ' || m.migration_id in (select p.migration_id from yoyo.progress as p)
from yoyo._yoyo_migration as m
