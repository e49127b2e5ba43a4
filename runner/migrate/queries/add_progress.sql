insert into yoyo.progress (migration_id, statement_number, statement_sha256)
values (%(id)s, %(number)s, %(sha256)s)
