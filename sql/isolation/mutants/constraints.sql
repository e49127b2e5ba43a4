-- Every foreign key, key and check constraint: dropped, weakened, or not validated.
with
constraints as (
    select
        con.*,
        con.conrelid::regclass as relation,
        con.confrelid::regclass as target,
        pg_get_constraintdef(con.oid) as definition
    from pg_constraint as con
    where con.connamespace = 'public'::regnamespace and con.contype in ('p', 'x', 'f', 'c')
),
composite as (
    select
        constraints.*,
        (select attname from pg_attribute where attrelid = conrelid and attnum = conkey[2]) as col
    from constraints
    where contype = 'f' and cardinality(conkey) = 2
),
-- Primary keys to change: foreign keys that refer to one need another unique key first.
rekeyed as (
    select
        pk.relation,
        pk.conrelid,
        pk.conname,
        format('alter table %s drop constraint %I cascade;', pk.relation, pk.conname) as drop_key,
        format('alter table %s add unique (org_id, id);', pk.relation) as keep_pair,
        coalesce((
            select string_agg(
                format(
                    ' alter table %s add constraint %I %s;', fk.relation, fk.conname, fk.definition
                ),
                '' order by fk.conname
            )
            from constraints as fk
            where fk.contype = 'f' and fk.confrelid = pk.conrelid
        ), '') as back
    from constraints as pk
    where pk.contype = 'p' and cardinality(pk.conkey) = 2
)
select
    case contype when 'f' then 'foreign key' when 'c' then 'check' else 'unique key' end
    || ' dropped' as kind,
    format('%s dropped from %s', conname, relation) as name,
    relation::text as object,
    format('alter table %s drop constraint %I', relation, conname) as sql
from constraints
where contype in ('x', 'f', 'c')
union all
select
    'reference made single-column',
    format('%s of %s by %s alone', conname, relation, col),
    relation::text,
    format('alter table %s add unique (id); ', target)
    || format('alter table %1$s drop constraint %2$I; ', relation, conname)
    || format('alter table %1$s add constraint %2$I ', relation, conname)
    || format('foreign key (%I) references %s (id)', col, target)
from composite
union all
select
    'reference not valid',
    format('%s of %s not valid', conname, relation),
    relation::text,
    format('alter table %1$s drop constraint %2$I; ', relation, conname)
    || format('alter table %1$s add constraint %2$I %3$s not valid', relation, conname, definition)
from composite
union all
select
    'check not valid',
    format('%s of %s not valid', conname, relation),
    relation::text,
    format('alter table %1$s drop constraint %2$I; ', relation, conname)
    || format('alter table %1$s add constraint %2$I %3$s not valid', relation, conname, definition)
from constraints
where contype = 'c' and conname ~ '_(roles|approval)_check$'
union all
select
    'reference cascades',
    format('%s of %s on delete cascade', conname, relation),
    relation::text,
    format('alter table %1$s drop constraint %2$I; ', relation, conname)
    || format('alter table %s add constraint %I ', relation, conname)
    || format('%s on delete cascade', definition)
from composite
union all
select
    'org_id nullable',
    format('org_id of %s nullable', relation),
    relation::text,
    drop_key || format(' alter table %s alter column org_id drop not null; ', relation)
    || keep_pair || back
from rekeyed
union all
select
    'primary key without org_id',
    format('primary key of %s is id alone', relation),
    relation::text,
    drop_key || format(' alter table %s add constraint %I primary key (id); ', relation, conname)
    || keep_pair || back
from rekeyed
union all
select
    'index without org_id',
    format('a unique index on %s (id) alone', relation),
    relation::text,
    format('create unique index mutant on %s (id)', relation)
from rekeyed
where conrelid = 'public.workflows'::regclass
order by kind, name;
