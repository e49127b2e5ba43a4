-- The materialized views that can be refreshed while other sessions read them: populated, with a unique
-- index of columns alone and without a condition.

select c.oid::bigint
from pg_catalog.pg_class as c
where c.oid = any (%(views)s)
    and c.relispopulated
    and exists (
        select
        from pg_catalog.pg_index as i
        where i.indrelid = c.oid
            and i.indisunique
            and i.indisvalid
            and i.indimmediate
            and i.indpred is null
            and i.indexprs is null
    )
