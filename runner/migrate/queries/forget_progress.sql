-- A migration whose record is written or deleted is not in progress any more. After a rollback none is:
-- what a later file had completed may be gone with it, and is run again.
delete from yoyo.progress
where
    migration_id in ('apply ' || %(id)s, 'rollback ' || %(id)s)
    or (%(operation)s = 'rollback' and starts_with(migration_id, 'apply '))
