-- Foreign keys that are checked at once, although the rows of the referenced table come later: `tables` is in
-- the order of inserts. Statements that defer each, and that restore it.
select
    format('alter table %%s alter constraint %%I deferrable initially deferred', names.tab, k.conname),
    format('alter table %%s alter constraint %%I not deferrable', names.tab, k.conname)
from pg_catalog.pg_constraint as k
cross join lateral (select k.conrelid::pg_catalog.regclass as tab) as names
where k.contype = 'f'
    and not k.condeferrable
    and k.conparentid = 0
    and array_position(%(tables)s::bigint[], k.conrelid::bigint)
        < array_position(%(tables)s::bigint[], k.confrelid::bigint)
order by k.conrelid, k.conname
