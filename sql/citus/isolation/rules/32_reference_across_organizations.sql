-- 32_reference_across_organizations
-- A foreign key between tenants' tables that does not include the organization.
-- source: sql/0003_create_organizations_and_users.sql; sql/citus/0004_distribute_tables.sql
-- why: A row could refer to a row of another organization, and Citus could not check it on a shard.

select
    format('constraint %I on %s', k.conname, k.table_title) as object,
    format('it does not include the organization: %s', pg_get_constraintdef(k.oid)) as problem,
    format('-- compare constraint %I on %s', k.conname, k.table_title) as fix
from reference as k
where not k.is_bound
    -- The accounts are no table of the tenants, and on every node.
    and not (
        k.confrelid = to_regclass('app.accounts')
        and exists (
            select
            from unnest(k.conkey, k.confkey) as pair (here, there)
            inner join pg_attribute as a
                on a.attrelid = k.confrelid and a.attnum = pair.there and a.attname = 'org_id'
            where pair.here = k.key_number
        )
    )
