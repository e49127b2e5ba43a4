-- Every policy dropped, opened on either side, given to everybody, robbed of a condition, shadowed.
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
        pg_get_expr(pol.polqual, pol.polrelid) as seen,
        pg_get_expr(pol.polwithcheck, pol.polrelid) as written,
        (
            select string_agg(role::regrole::text, ', ' order by role::regrole::text)
            from unnest(pol.polroles) as role
        ) as roles
    from pg_policy as pol
    inner join pg_class as rel on rel.oid = pol.polrelid
    where rel.relnamespace = 'public'::regnamespace
),
-- One way at a time: a piece of the condition, and what is left in its place.
weaker as (
    select
        policies.*,
        way.kind,
        way.what,
        regexp_replace(seen, way.piece, way.instead, 'g') as weaker_seen,
        regexp_replace(written, way.piece, way.instead, 'g') as weaker_written
    from policies
    cross join (
        values
        (
            'policy asks for no role', 'every role will do',
            'app\.caller_org_as\([^)]*\)', 'app.caller_org()'
        ),
        (
            'policy without a condition', 'an ADMIN may touch an OWNER',
            '\(NOT \([^()]* = ANY \(roles\)\)\)', 'true'
        ),
        (
            'policy without a condition', 'anybody''s row will do',
            '\((actor_id|id) = \( SELECT app\.caller_user\(\)[^)]*\)\)', 'true'
        ),
        (
            'policy without a condition', 'the words of record_audit are free',
            '\(action <> ALL \([^)]*\)\)', 'true'
        )
    ) as way (kind, what, piece, instead)
)
select
    'policy dropped' as kind,
    format('drop policy %I on %s', name, relation) as name,
    relation::text as object,
    format('drop policy %I on %s', name, relation) as sql
from policies
union all
select
    'using (true)',
    format('using (true) in policy %I on %s', name, relation),
    relation::text,
    format('alter policy %I on %s using (true)', name, relation)
from policies
where seen <> 'true'
union all
select
    'with check (true)',
    format('with check (true) in policy %I on %s', name, relation),
    relation::text,
    format('alter policy %I on %s with check (true)', name, relation)
from policies
where written <> 'true'
union all
select
    'policy to public',
    format('policy %I on %s to public', name, relation),
    relation::text,
    format('alter policy %I on %s to public', name, relation)
from policies
union all
select
    'restrictive made permissive',
    format('policy %I on %s made permissive', name, relation),
    relation::text,
    format('drop policy %1$I on %2$s;', name, relation)
    || format(' create policy %1$I on %2$s for %3$s to %4$s', name, relation, command, roles)
    || coalesce(' using (' || seen || ')', '')
    || coalesce(' with check (' || written || ')', '')
from policies
where not permissive
union all
select
    kind,
    format('%s in policy %I on %s', what, name, relation),
    relation::text,
    format('alter policy %I on %s', name, relation)
    || coalesce(' using (' || weaker_seen || ')', '')
    || coalesce(' with check (' || weaker_written || ')', '')
from weaker
where (weaker_seen, weaker_written) is distinct from (seen, written)
union all
select
    'second permissive policy',
    format('a second policy for %s on %s', added.command, relation),
    relation::text,
    format(
        'create policy mutant on %s for %s to authenticated %s', relation, added.command, added.rest
    )
from (select distinct relation from policies) as tenant
cross join (
    values
    ('select', 'using (true)'),
    ('all', 'using (true) with check (true)')
) as added (command, rest)
order by kind, name;
