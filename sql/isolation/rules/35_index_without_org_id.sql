-- 35_index_without_org_id
-- A full btree index, or a unique one, of a tenant's table without the organization, except those of
--   e-mail and account.
-- source: a decision of this schema: every index of a tenant table includes org_id
-- why: It is read before the policy applies: an error, or timing, reveals whether a row exists.

select
    format('index %s', i.indexrelid::regclass) as object,
    format('it does not include %I: %s', t.key, pg_get_indexdef(i.indexrelid)) as problem,
    case
        when k.conname is null then format(
            e'drop index concurrently %s;\n%s;',
            i.indexrelid::regclass,
            regexp_replace(
                regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX ', ' INDEX CONCURRENTLY '),
                ' USING (\w+) \(', format(' USING \1 (%I, ', t.key)
            )
        )
        else format(
            'alter table %1$s drop constraint %2$I, add constraint %2$I %3$s;',
            t.title, k.conname,
            regexp_replace(pg_get_constraintdef(k.oid), '\(', format('(%I, ', t.key))
        )
    end as fix
from pg_index as i
inner join client_table as t on t.oid = i.indrelid
inner join pg_class as x on x.oid = i.indexrelid
inner join pg_am as m on m.oid = x.relam
left join pg_constraint as k
    on k.conindid = i.indexrelid and k.conrelid = t.oid and k.contype in ('p', 'u', 'x')
where not coalesce(t.key_number = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]), false)
    and (i.indisunique or i.indisexclusion or (m.amname = 'btree' and i.indpred is null))
    -- The two keys of a user are unique across all organizations. No tenant's plan uses them: they
    -- have no order, and their expressions are not leakproof.
    and not (
        t.oid = to_regclass('public.users')
        and i.indisexclusion
        and pg_get_indexdef(i.indexrelid) ~ ' USING hash '
        and pg_get_indexdef(i.indexrelid, 1, true) in ('lower(email)', '(auth_user_id::text)')
    )
