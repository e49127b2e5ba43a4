-- 38_unique_key_missing
-- A column that the helpers look up a user by, without the reference that keeps it unique.
-- source: sql/citus/0004_distribute_tables.sql (app.accounts)
-- why: With two users for one account, the caller belongs to two organizations, or to a random one.

select
    'table public.users' as object,
    format('its %s does not refer to app.accounts, where it is unique', wanted.name) as problem,
    format(
        'alter table public.users add constraint users_%1$s_fkey foreign key (%1$s, org_id, id) '
        'references app.accounts (%1$s, org_id, user_id) deferrable initially deferred;',
        wanted.name
    ) as fix
from unnest(array['email', 'auth_user_id']) as wanted (name)
where not exists (
        select
        from pg_constraint as k
        inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
        inner join pg_index as i on i.indrelid = k.confrelid and i.indisunique and i.indisvalid
        inner join pg_attribute as u
            on u.attrelid = k.confrelid and u.attnum = i.indkey[0] and u.attname = wanted.name
        where k.conrelid = to_regclass('public.users')
            and k.confrelid = to_regclass('app.accounts')
            and k.contype = 'f'
            and k.convalidated
            and a.attname = wanted.name
            and i.indnkeyatts = 1
            and i.indpred is null
    )
