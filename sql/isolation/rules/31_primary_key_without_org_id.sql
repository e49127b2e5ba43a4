-- 31_primary_key_without_org_id
-- A table whose primary key is missing, or does not include the organization.
-- source: sql/0003_create_organizations_and_users.sql (primary key (org_id, id));
--   https://www.postgresql.org/docs/current/ddl-rowsecurity.html
-- why: A global key reveals, by an error or by timing, whether another tenant's id exists.

select
    format('table %s', t.title) as object,
    coalesce('its primary key is ' || pg_get_constraintdef(k.oid), 'it has no primary key')
        as problem,
    format(
        'alter table %s%s add primary key (%s);',
        t.title,
        coalesce(' drop constraint ' || quote_ident(k.conname) || ',', ''),
        case t.key when 'id' then 'id' else format('%I, id', t.key) end
    ) as fix
from client_table as t
left join pg_constraint as k on k.conrelid = t.oid and k.contype = 'p'
where not coalesce(t.key_number = any (k.conkey), false)
