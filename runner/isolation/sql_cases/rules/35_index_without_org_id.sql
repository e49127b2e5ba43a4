-- 35_index_without_org_id
-- An index of a tenant's table that does not hold the organization, e-mail and sign-in aside.
-- source: a decision of this schema: every index of a tenant table holds org_id
-- why: It is read before the policy: an error, or its time, tells "exists" from "absent".

select
    format('index %s', i.indexrelid::regclass) as object,
    format('it does not hold %I: %s', t.key, pg_get_indexdef(i.indexrelid)) as problem,
    case
        when k.conname is null then format(
            'drop index concurrently %s;  -- and make it with %I in it',
            i.indexrelid::regclass, t.key
        )
        else format(
            'alter table %s drop constraint %I;  -- and make it with %I in it',
            t.title, k.conname, t.key
        )
    end as fix
from pg_index as i
inner join tenant_table as t on t.oid = i.indrelid
left join pg_constraint as k
    on k.conindid = i.indexrelid and k.conrelid = t.oid and k.contype in ('p', 'u', 'x')
where not coalesce(t.key_number = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]), false)
    -- The two keys of a person are unique on the whole platform.
    and not (
        t.oid = to_regclass('public.users')
        and i.indisunique
        and i.indnatts = 1
        and exists (
            select from pg_attribute as a
            where a.attrelid = t.oid
                and a.attnum = i.indkey[0]
                and a.attname in ('email', 'auth_user_id')
        )
    )
