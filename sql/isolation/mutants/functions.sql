-- Every function of schema app: its attributes, search_path, privileges and body.
with
functions as (
    select
        fn.oid,
        fn.proname as name,
        fn.oid::regprocedure::text as signature,
        fn.proname ~ '^caller_' as is_helper,
        fn.prosecdef as is_definer,
        fn.provolatile as volatility,
        fn.proparallel as parallel,
        pg_get_functiondef(fn.oid) as definition,
        (
            select count(*) from regexp_matches(fn.prosrc, 'raise exception', 'g')
        ) as refusals,
        -- What a breach must name: the function, or for a trigger function one of its tables.
        concat_ws(
            ' or ',
            fn.oid::regprocedure,
            substring(fn.prosrc from 'insert into (public\.\w+)'),
            (
                select string_agg(distinct trg.tgrelid::regclass::text, ' or ')
                from pg_trigger as trg
                inner join pg_proc as guard on guard.oid = trg.tgfoid
                where fn.proname !~ '^caller_'
                    and (guard.oid = fn.oid or guard.prosrc ~ format('app\.%s\(', fn.proname))
            )
        ) as names
    from pg_proc as fn
    where fn.pronamespace = 'app'::regnamespace
)
select
    'helper attribute' as kind,
    format('%s %s', signature, attribute.sql) as name,
    signature as object,
    format('alter function %s %s', signature, attribute.sql) as sql
from functions
cross join (
    values
    ('immutable'), ('volatile'), ('parallel unsafe'), ('parallel restricted'), ('security invoker')
) as attribute (sql)
where is_helper
union all
select
    'search_path',
    format('%s with search_path %s', signature, path.name),
    signature,
    format('alter function %s %s', signature, path.sql)
from functions
cross join (
    values
    ('unset', 'reset search_path'),
    ('empty', 'set search_path = '''''),
    ('public', 'set search_path = public'),
    ('pg_temp first', 'set search_path = pg_temp, pg_catalog')
) as path (name, sql)
where is_helper or path.name in ('unset', 'empty')
union all
select
    'function privilege',
    format('grant execute on %s to %s', signature, grantee.name),
    signature,
    format('grant execute on function %s to %s', signature, grantee.name)
from functions
cross join (values ('anon'), ('public')) as grantee (name)
union all
select
    'guard attribute',
    format('%s security definer', signature),
    names,
    format('alter function %s security definer', signature)
from functions
where not is_definer and name in ('is_tenant', 'guard_roles', 'guard_approval', 'keep_audit')
union all
select
    'guard attribute',
    format('%s security invoker', signature),
    names,
    format('alter function %s security invoker', signature)
from functions
where is_definer and not is_helper
union all
select
    'function owned by the API',
    format('%s owned by authenticated', signature),
    names,
    format('alter function %s owner to authenticated', signature)
from functions
where is_definer
union all
-- Each `raise exception` of a trigger function, one at a time, reduced to `raise debug`.
select
    'refusal silenced',
    format('refusal %s of %s silenced', number, signature),
    names,
    regexp_replace(definition, 'raise exception', 'raise debug', 1, number::int)
from functions
cross join lateral generate_series(1, refusals) as number
union all
-- A helper or trigger function with a different body.
select
    'body changed',
    format('%s %s', signature, other.what),
    names,
    regexp_replace(
        definition, '(AS \$function\$).*(\$function\$)', '\1' || other.body || '\2'
    )
from functions
inner join (
    values
    (
        'caller_org', 'returns another organization',
        'begin return (select max(o.id) from public.organizations as o where o.id <> coalesce(('
        'select u.org_id from public.users as u where u.auth_user_id = auth.uid()), '''')); end'
    ),
    (
        'caller_org_as', 'returns another organization',
        'begin return (select max(o.id) from public.organizations as o where o.id <> coalesce(('
        'select u.org_id from public.users as u where u.auth_user_id = auth.uid()), '''')); end'
    ),
    (
        'caller_user', 'returns another user',
        'begin return (select max(u.id) from public.users as u where u.auth_user_id is distinct '
        'from auth.uid()); end'
    ),
    (
        'caller_org', 'trusts a claim',
        'begin return coalesce(auth.jwt() ->> ''org_id'', '
        '(select u.org_id from public.users as u where u.auth_user_id = auth.uid())); end'
    ),
    (
        'caller_org_as', 'trusts a claim',
        'begin return coalesce(auth.jwt() ->> ''org_id'', '
        '(select u.org_id from public.users as u where u.auth_user_id = auth.uid() '
        'and u.roles && wanted)); end'
    ),
    (
        'caller_org_as', 'ignores the role',
        'begin return '
        '(select u.org_id from public.users as u where u.auth_user_id = auth.uid()); end'
    ),
    ('is_tenant', 'returns false', 'begin return false; end'),
    (
        'is_tenant', 'decides by a missing claim',
        'begin return row_security_active(relation) and auth.uid() is not null; end'
    ),
    ('touch_updated_at', 'permits everything', 'begin return new; end'),
    ('guard_roles', 'permits everything', 'begin return new; end'),
    ('keep_last_owner', 'permits everything', 'begin return null; end'),
    ('keep_id', 'permits everything', 'begin return new; end'),
    ('guard_approval', 'permits everything', 'begin return new; end'),
    ('record_insert', 'writes nothing', 'begin return null; end'),
    ('record_audit', 'writes nothing', 'begin return null; end'),
    (
        'keep_audit', 'permits everything',
        'begin if tg_op = ''UPDATE'' then return new; end if; return old; end'
    )
) as other (name, what, body) on other.name = functions.name
union all
select
    'body changed',
    format('%s %s', signature, other.what),
    names,
    replace(definition, 'when actor.org_id then actor.id end', other.instead)
from functions
cross join (
    values
    ('records no actor', 'when actor.org_id then null end'),
    ('records actors of other organizations', 'when null then null else actor.id end')
) as other (what, instead)
where name = 'record_insert'
union all
-- Race conditions, which only the test with two sessions detects.
select
    'last owner race',
    format('%s %s', signature, other.what),
    names,
    regexp_replace(
        definition,
        'update public\.organizations\s+set name = name\s+where id = old\.org_id',
        other.instead
    )
from functions
cross join (
    values
    ('does not lock', 'perform 1 from public.organizations where id = old.org_id'),
    (
        'locks by "for update"',
        'perform 1 from public.organizations where id = old.org_id for update'
    )
) as other (what, instead)
where name = 'keep_last_owner'
order by kind, name;
