select statement_number, statement_sha256
from yoyo.progress
where migration_id = %(id)s
order by statement_number
