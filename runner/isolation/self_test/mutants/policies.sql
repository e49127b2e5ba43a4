-- Every policy: dropped, opened in USING or WITH CHECK, extended to PUBLIC, or beside a second
-- permissive policy.
with
policies as (
    select
        pol.polname as name,
        rel.name as relation,
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
    inner join project_table as rel on rel.oid = pol.polrelid
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
where using_expr <> 'true'
union all
select
    'with check (true)',
    format('with check (true) in policy %I on %s', name, relation),
    relation::text,
    format('alter policy %I on %s with check (true)', name, relation)
from policies
where check_expr <> 'true'
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
    || coalesce(' using (' || using_expr || ')', '')
    || coalesce(' with check (' || check_expr || ')', '')
from policies
where not permissive
union all
select
    'second permissive policy',
    format('a second policy for %s to %s on %s', added.command, role.name, relation),
    relation::text,
    format(
        'create policy mutant on %s for %s to %I %s',
        relation, added.command, role.name, added.rest
    )
from (select distinct relation from policies) as tenant
cross join (select name from api_role where kind = 'member') as role
cross join (
    values
    ('select', 'using (true)'),
    ('all', 'using (true) with check (true)')
) as added (command, rest)
order by kind, name;
