-- Store the fingerprint of the catalog with the newest entry of the log.
update yoyo._yoyo_log
set fingerprint = ({fingerprint})
where id = (
    select id
    from yoyo._yoyo_log
    order by created_at_utc desc
    limit 1
)
