-- The records in tables that stock yoyo made, which lack our columns.
select
    m.migration_id,
    m.applied_at_utc
from yoyo._yoyo_migration as m
