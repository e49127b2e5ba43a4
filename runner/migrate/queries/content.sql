-- A file as it was applied; null where it was too large to store, or stock yoyo applied it.
select to_jsonb(m) ->> 'content'
from yoyo._yoyo_migration as m
where m.migration_id = %(id)s
