-- The duration of a file in this transaction is measured by the server.
insert into yoyo._yoyo_migration (
    migration_hash,
    migration_id,
    applied_at_utc,
    content_sha256,
    code_sha256,
    content,
    duration_ms,
    applied_by
)
values (
    %(hash)s,
    %(id)s,
    clock_timestamp() at time zone 'utc',
    %(sha256)s,
    %(code_sha256)s,
    %(content)s,
    coalesce(
        %(ms)s,
        case
            when %(in_transaction)s then extract(epoch from clock_timestamp() - now()) * 1000
        end
    ),
    %(user)s || '@' || %(host)s || ' as ' || session_user
)
