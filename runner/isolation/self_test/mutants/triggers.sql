-- Every trigger: dropped, disabled, or limited to replicas; and the internal ones of foreign keys.
with triggers as (
    select
        trg.tgname as name,
        trg.tgrelid::regclass as relation
    from pg_trigger as trg
    inner join project_table as rel on rel.oid = trg.tgrelid
    where not trg.tgisinternal
)
select
    'trigger dropped' as kind,
    format('drop trigger %I on %s', name, relation) as name,
    relation::text as object,
    format('drop trigger %I on %s', name, relation) as sql
from triggers
union all
select
    'trigger disabled',
    format('trigger %I on %s disabled', name, relation),
    relation::text,
    format('alter table %s disable trigger %I', relation, name)
from triggers
union all
select
    'trigger on replicas only',
    format('trigger %I on %s for replicas only', name, relation),
    relation::text,
    format('alter table %s enable replica trigger %I', relation, name)
from triggers
where name ~ '^(guard|keep)_'
union all
select
    'foreign keys not enforced',
    format('foreign keys of %s not enforced', relation),
    relation::text,
    format('alter table %1$s disable trigger all; alter table %1$s enable trigger user', relation)
from (select distinct relation from triggers) as tenant
order by kind, name;
