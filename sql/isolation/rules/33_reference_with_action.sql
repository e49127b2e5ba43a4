-- 33_reference_with_action
-- A foreign key of an audited table, or of the log, with an action: CASCADE, SET NULL, SET DEFAULT.
-- source: a decision of this schema: NO ACTION everywhere, because a user who acted or approved is
--   never deleted or moved
-- why: An action runs as the table's owner, bypasses policies, and deletes or changes recorded
--   data.

select
    format('constraint %I on %s', k.conname, t.title) as object,
    format('it has an action: %s', pg_get_constraintdef(k.oid)) as problem,
    format(
        'alter table %1$s drop constraint %2$I, add constraint %2$I %3$s;',
        t.title, k.conname,
        regexp_replace(
            pg_get_constraintdef(k.oid),
            ' ON (UPDATE|DELETE) (CASCADE|RESTRICT|SET (NULL|DEFAULT)( \([^)]*\))?)', '', 'g'
        )
    ) as fix
from pg_constraint as k
inner join tenant_table as t on t.oid = k.conrelid
where k.contype = 'f'
    and not (k.confdeltype in ('a', 'r') and k.confupdtype in ('a', 'r'))
    and (
        t.oid in (select a.oid from audited_table as a)
        or t.oid = to_regclass('public.audit_logs')
    )
