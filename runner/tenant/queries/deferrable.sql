-- Whether every reference to a table is deferrable, so that its row can be deleted before theirs.
select count(*) > 0 and bool_and(k.condeferrable and k.confdeltype = 'a')
from pg_catalog.pg_constraint as k
where k.contype = 'f' and k.confrelid = %(table)s and k.conparentid = 0
