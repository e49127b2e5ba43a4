delete from yoyo.progress where migration_id = %(id)s
