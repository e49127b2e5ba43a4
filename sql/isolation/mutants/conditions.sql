-- Every policy with a part of its condition replaced: another helper, or no condition at all.
with
policies as (
    select
        pol.polname as name,
        rel.oid::regclass as relation,
        pol.polpermissive as permissive,
        case pol.polcmd
            when 'r' then 'select'
            when 'a' then 'insert'
            when 'w' then 'update'
            when 'd' then 'delete'
            else 'all'
        end as command,
        pg_get_expr(pol.polqual, pol.polrelid) as using_expr,
        pg_get_expr(pol.polwithcheck, pol.polrelid) as check_expr,
        (
            select string_agg(role::regrole::text, ', ' order by role::regrole::text)
            from unnest(pol.polroles) as role
        ) as roles
    from pg_policy as pol
    inner join pg_class as rel on rel.oid = pol.polrelid
    where rel.relnamespace = 'public'::regnamespace
),
-- One change at a time: a part of the condition, and its replacement.
weaker as (
    select
        policies.*,
        change.kind,
        change.what,
        regexp_replace(using_expr, change.part, change.instead, 'g') as weaker_using,
        regexp_replace(check_expr, change.part, change.instead, 'g') as weaker_check
    from policies
    cross join (
        values
        (
            'policy without role check', 'any role of the organization',
            'app\.caller_org_as\([^)]*\)', 'app.caller_org()'
        ),
        (
            'policy without a condition', 'an ADMIN may touch an OWNER',
            '\(NOT \([^()]* = ANY \(roles\)\)\)', 'true'
        ),
        (
            'policy without a condition', 'rows of any user',
            '\((actor_id|id) = \( SELECT app\.caller_user\(\)[^)]*\)\)', 'true'
        ),
        (
            'policy without a condition', 'the actions of record_audit',
            '\(action <> ALL \([^)]*\)\)', 'true'
        )
    ) as change (kind, what, part, instead)
)
select
    kind,
    format('%s in policy %I on %s', what, name, relation) as name,
    relation::text as object,
    format('alter policy %I on %s', name, relation)
    || coalesce(' using (' || weaker_using || ')', '')
    || coalesce(' with check (' || weaker_check || ')', '') as sql
from weaker
where (weaker_using, weaker_check) is distinct from (using_expr, check_expr)