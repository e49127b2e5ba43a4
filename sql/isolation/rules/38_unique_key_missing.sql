-- 38_unique_key_missing
-- A column that the helpers look up a user by, and that is not unique across organizations.
-- source: sql/0003_create_organizations_and_users.sql; sql/0006_create_caller_helpers.sql
-- why: With two users for one account, the caller belongs to two organizations, or to a random one.

select
    format('table %s', t.title) as object,
    format('its %I is not unique', a.attname) as problem,
    format(
        'alter table %s add constraint %I exclude using hash (%s with =);',
        t.title,
        format('%s_%s_key', t.name, a.attname),
        case a.attname when 'email' then 'lower(email)' else '(auth_user_id::text)' end
    ) as fix
from tenant_table as t
inner join pg_attribute as a
    on a.attrelid = t.oid and a.attname in ('auth_user_id', 'email') and not a.attisdropped
where t.oid = to_regclass('public.users')
    and not exists (
        select from pg_index as i
        where i.indrelid = t.oid
            and i.indisexclusion
            and i.indisvalid
            and i.indimmediate
            and i.indpred is null
            and pg_get_indexdef(i.indexrelid, 1, true)
            = case a.attname when 'email' then 'lower(email)' else '(auth_user_id::text)' end
    )
