-- 36_constraint_not_valid
-- A constraint or index of a tenant's table that is NOT VALID, NOT ENFORCED, or left over invalid.
-- source: https://www.postgresql.org/docs/current/sql-altertable.html (NOT VALID)
-- why: Rows from before, or all rows, need not obey it.

select
    format('constraint %I on %s', k.conname, t.title) as object,
    'it is not valid for every row' as problem,
    format('alter table %s validate constraint %I;', t.title, k.conname) as fix
from pg_constraint as k
inner join tenant_table as t on t.oid = k.conrelid
where not k.convalidated
    or to_jsonb(k) ->> 'conenforced' = 'false'  -- from 18 on
union all
select
    format('index %s', i.indexrelid::regclass) as object,
    'it was left over half made' as problem,
    format('drop index concurrently %s;', i.indexrelid::regclass) as fix
from pg_index as i
inner join tenant_table as t on t.oid = i.indrelid
where not i.indisvalid
