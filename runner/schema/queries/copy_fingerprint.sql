-- The newest entry of the log changed nothing: the fingerprint of the entry before it stays valid.
update yoyo._yoyo_log
set fingerprint = (
    select fingerprint
    from yoyo._yoyo_log
    order by created_at_utc desc
    offset 1
    limit 1
)
where id = (
    select id
    from yoyo._yoyo_log
    order by created_at_utc desc
    limit 1
)
