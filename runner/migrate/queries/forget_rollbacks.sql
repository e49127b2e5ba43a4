with forgotten as (
    delete from yoyo.progress
    where migration_id = any(%(begun)s)
    returning substr(migration_id, length('rollback ') + 1) as migration_id
)
delete from yoyo._yoyo_migration
where migration_id in (select f.migration_id from forgotten as f)
