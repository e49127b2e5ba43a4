-- What a ledger remembers that stock yoyo made: it lacks our columns.
select
    m.migration_id,
    m.applied_at_utc
from yoyo._yoyo_migration as m
