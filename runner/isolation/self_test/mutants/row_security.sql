-- Row-level security disabled, forced where it must not be, or not forced where it must be.
select
    'row security disabled' as kind,
    format('row-level security disabled on %s', rel.oid::regclass) as name,
    rel.oid::regclass::text as object,
    format('alter table %s disable row level security', rel.oid::regclass) as sql
from pg_class as rel
where rel.relnamespace = 'public'::regnamespace and rel.relrowsecurity
union all
-- It must be forced exactly if the owner is superuser or has BYPASSRLS.
select
    'force inverted',
    format(
        '%s row-level security on %s',
        case when rel.relforcerowsecurity then 'not forced' else 'forced' end, rel.oid::regclass
    ),
    rel.oid::regclass::text,
    format(
        'alter table %s %s row level security',
        rel.oid::regclass, case when rel.relforcerowsecurity then 'no force' else 'force' end
    )
from pg_class as rel
where rel.relnamespace = 'public'::regnamespace and rel.relrowsecurity
union all
select
    'table owned by the API',
    format('%s owned by authenticated', rel.oid::regclass),
    rel.oid::regclass::text,
    format('alter table %s owner to authenticated', rel.oid::regclass)
from pg_class as rel
where rel.relnamespace = 'public'::regnamespace and rel.relrowsecurity
order by kind, name;
