delete from yoyo._yoyo_migration where migration_hash = %(hash)s
