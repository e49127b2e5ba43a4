-- A migration that is recorded or forgotten is not under way any more. After a rollback nothing is:
-- what a later file had done by halves may have gone with it, and is done anew.
delete from yoyo.progress
where
    migration_id in ('apply ' || %(id)s, 'rollback ' || %(id)s)
    or (%(operation)s = 'rollback' and starts_with(migration_id, 'apply '))
