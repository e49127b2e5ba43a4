insert into yoyo._yoyo_log (
    id,
    migration_hash,
    migration_id,
    operation,
    username,
    hostname,
    created_at_utc
)
values (
    gen_random_uuid()::text,
    %(hash)s,
    %(id)s,
    %(operation)s,
    %(user)s,
    %(host)s,
    clock_timestamp() at time zone 'utc'
)
