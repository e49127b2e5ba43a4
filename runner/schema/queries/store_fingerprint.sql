-- Store the fingerprint of the catalog with the newest entry of the log, and before it the number by
-- which the next run sees without a comparison of facts that nothing was changed.
update yoyo._yoyo_log
set fingerprint = (
    with {versions}
    select bit_xor(hashint8extended(v.version, v.owner::bigint)) from versions as v
) || ' ' || ({fingerprint})
where id = (
    select id
    from yoyo._yoyo_log
    order by created_at_utc desc
    limit 1
)
