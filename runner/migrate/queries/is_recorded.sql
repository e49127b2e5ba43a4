select count(*) > 0 as runner_has_it
from yoyo._yoyo_migration
where migration_id = %(id)s
