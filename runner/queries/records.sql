-- What the ledger remembers. to_jsonb, because a ledger that stock yoyo made lacks our columns.
select
    migration_id,
    applied_at_utc,
    to_jsonb(m) ->> 'content_sha256',
    to_jsonb(m) ->> 'code_sha256',
    (to_jsonb(m) ->> 'duration_ms')::double precision,
    to_jsonb(m) ->> 'applied_by'
from yoyo._yoyo_migration as m
