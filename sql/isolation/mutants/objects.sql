-- Objects that a later change may add: views, tables, functions, rules, triggers.
with tables as (
    select oid, oid::regclass as name
    from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
)
select
    'owner-rights view' as kind,
    format('a view of %s with its owner''s rights', name) as name,
    'public.mutant' as object,
    format('create view public.mutant as select * from %s; ', name)
    || 'grant select on public.mutant to authenticated' as sql
from tables
union all
select
    'materialized view',
    format('a materialized view of %s', name),
    'public.mutant',
    format('create materialized view public.mutant as select * from %s; ', name)
    || 'grant select on public.mutant to authenticated'
from tables
where oid = 'public.users'::regclass
union all
select added.kind, added.name, 'public.mutant', added.sql
from (
    values
    (
        'new table', 'a new table, granted, without row-level security',
        'create table public.mutant (org_id text not null, id text not null); '
        'grant select on public.mutant to authenticated'
    ),
    (
        'new table', 'a new table, not granted, without row-level security',
        'create table public.mutant (org_id text not null, id text not null)'
    ),
    (
        'new table', 'a new table with row-level security and no policy',
        'create table public.mutant (org_id text not null, id text not null); '
        'alter table public.mutant enable row level security; '
        'grant select on public.mutant to authenticated'
    ),
    (
        'new table', 'a new table for anon',
        'create table public.mutant (org_id text not null, id text not null); '
        'alter table public.mutant enable row level security; '
        'grant select on public.mutant to anon; '
        'create policy mutant on public.mutant for select to anon using (true)'
    ),
    (
        'new table', 'a new table whose policy ignores the organization',
        'create table public.mutant (org_id text not null, id text not null); '
        'alter table public.mutant enable row level security; '
        'alter table public.mutant force row level security; '
        'grant select, insert on public.mutant to authenticated; '
        'create policy mutant on public.mutant to authenticated '
        'using (auth.uid() is not null) with check (auth.uid() is not null)'
    ),
    (
        'partition', 'a partition with its own grant',
        'create table public.mutants (org_id text not null, id text not null) '
        'partition by hash (org_id); '
        'alter table public.mutants enable row level security; '
        'create table public.mutant partition of public.mutants '
        'for values with (modulus 1, remainder 0); '
        'grant select on public.mutant to authenticated'
    ),
    (
        'inheritance child', 'a child table of projects with its own grant',
        'create table public.mutant () inherits (public.projects); '
        'grant select on public.mutant to authenticated'
    ),
    (
        'foreign table', 'a foreign table',
        'create foreign data wrapper mutant; create server mutant foreign data wrapper mutant; '
        'create foreign table public.mutant (org_id text) server mutant; '
        'grant select on public.mutant to authenticated'
    ),
    (
        'sequence', 'a sequence that tenants may write',
        'create sequence public.mutant; '
        'grant usage, update on sequence public.mutant to authenticated'
    ),
    (
        'new function', 'a function that anon may call',
        'create function public.mutant() returns int language sql '
        'set search_path = pg_catalog, pg_temp return 1; '
        'grant execute on function public.mutant() to anon'
    ),
    (
        'new function', 'a function that PUBLIC may call',
        'create function public.mutant() returns int language sql '
        'set search_path = pg_catalog, pg_temp return 1; '
        'grant execute on function public.mutant() to public'
    ),
    (
        'new function', 'a definer function that reads every organization',
        'create function public.mutant() returns setof text language sql stable security definer '
        'set search_path = pg_catalog, pg_temp as ''select email from public.users''; '
        'revoke all on function public.mutant() from public; '
        'grant execute on function public.mutant() to authenticated'
    ),
    (
        'new function', 'a function of tenants without search_path',
        'create function public.mutant() returns int language sql as ''select 1''; '
        'revoke all on function public.mutant() from public; '
        'grant execute on function public.mutant() to authenticated'
    ),
    (
        'new function', 'a definer function in the standard''s form without search_path',
        'create function public.mutant() returns int language sql security definer return 1; '
        'revoke all on function public.mutant() from public; '
        'grant execute on function public.mutant() to authenticated'
    )
) as added (kind, name, sql)
union all
select
    'rule on a table',
    format('a rule on %s that discards deletes', name),
    name::text,
    format('create rule mutant as on delete to %s do instead nothing', name)
from tables
where oid = 'public.audit_logs'::regclass
union all
select
    'trigger owned by the API',
    format('a trigger on %s whose function is owned by authenticated', name),
    'app.mutant()',
    'create function app.mutant() returns trigger language plpgsql '
    'set search_path = pg_catalog, pg_temp as ''begin return new; end''; '
    'alter function app.mutant() owner to authenticated; '
    || format('create trigger mutant before insert on %s ', name)
    || 'for each row execute function app.mutant()'
from tables
where oid = 'public.users'::regclass
union all
select
    'schema owned by the API',
    format('schema %I owned by authenticated', space.nspname),
    format('schema %I', space.nspname),
    format('alter schema %I owner to authenticated', space.nspname)
from pg_namespace as space
where space.nspname in ('public', 'app')
order by kind, name;
