-- 32_reference_across_organizations
-- A foreign key of a tenant table that does not include the organization on both sides.
-- source: sql/0003_create_organizations_and_users.sql;
--   https://www.postgresql.org/docs/current/sql-createpolicy.html (Notes: integrity checks bypass
--   policies)
-- why: The check sees the rows of every organization: it links tenants, and reveals which ids
--   exist.

select
    format('constraint %I on %s', k.conname, k.table_title) as object,
    format('it does not include the organization: %s', pg_get_constraintdef(k.oid)) as problem,
    case
        when k.key_number = any (k.conkey) or target.key is distinct from k.key
            then format('-- compare constraint %I on %s', k.conname, k.table_title)
        else format(
            'alter table %1$s drop constraint %2$I, add constraint %2$I %3$s;',
            k.table_title, k.conname,
            regexp_replace(
                pg_get_constraintdef(k.oid),
                '^FOREIGN KEY \((.*)\) REFERENCES (.*?)\(',
                format('FOREIGN KEY (%1$I, \1) REFERENCES \2(%1$I, ', k.key)
            )
        )
    end as fix
from reference as k
left join tenant_table as target on target.oid = k.confrelid
where not k.is_bound
