-- 36_constraint_not_valid
-- A constraint or index of a tenant table that is NOT VALID, NOT ENFORCED, or invalid.
-- source: https://www.postgresql.org/docs/current/sql-altertable.html (NOT VALID)
-- why: Existing rows, or all rows, may violate it.

select
    format('constraint %I on %s', k.conname, t.title) as object,
    'it is not valid for every row' as problem,
    format('alter table %s validate constraint %I;', t.title, k.conname) as fix
from pg_constraint as k
inner join tenant_table as t on t.oid = k.conrelid
where not k.convalidated
    or to_jsonb(k) ->> 'conenforced' = 'false'  -- since 18
union all
select
    format('index %s', i.indexrelid::regclass) as object,
    'it is invalid: its creation did not finish' as problem,
    format('drop index concurrently %s;', i.indexrelid::regclass) as fix
from pg_index as i
inner join tenant_table as t on t.oid = i.indrelid
where not i.indisvalid
