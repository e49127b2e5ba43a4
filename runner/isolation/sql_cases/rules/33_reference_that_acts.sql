-- 33_reference_that_acts
-- A foreign key of a tenant's table with an action: CASCADE, SET NULL, SET DEFAULT, RESTRICT.
-- source: a decision of this schema: all NO ACTION: whoever acted or approved is never deleted or
--   moved
-- why: An action runs as the table's owner, past policies, and takes away what was written down.

select
    format('constraint %I on %s', k.conname, t.title) as object,
    format('it acts by itself: %s', pg_get_constraintdef(k.oid)) as problem,
    format(
        'alter table %s drop constraint %I;  -- and add it without an action', t.title, k.conname
    ) as fix
from pg_constraint as k
inner join tenant_table as t on t.oid = k.conrelid
where k.contype = 'f'
    and (k.confdeltype <> 'a' or k.confupdtype <> 'a')
