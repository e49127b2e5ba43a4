-- 66_insert_not_recorded
-- A table whose inserts no trigger records, or whose id and times no trigger fills in.
-- source: sql/citus/0004_distribute_tables.sql
-- why: On a shard there are no triggers of a statement, and defaults need a privilege of the tenant.

select
    format('table %s', t.title) as object,
    format('no trigger runs app.%s() before or after each insert', wanted.guard) as problem,
    format('-- compare the triggers of %s', t.title) as fix
from tenant_table as t
cross join (values ('record_audit', 5), ('fill_in', 7)) as wanted (guard, bits)
where not t.is_child
    and case wanted.guard
        when 'record_audit' then t.oid in (select a.oid from audited_table as a)
        else t.oid in (
            select to_regclass(format('public.%I', known.name))
            from unnest(array['users', 'projects', 'workflows', 'ai_agents', 'audit_logs'])
                as known (name)
        )
    end
    -- bits: 1 each row, 2 before, 4 insert
    and not exists (
        select
        from pg_trigger as g
        where g.tgrelid = t.oid
            and g.tgfoid = to_regprocedure(format('app.%I()', wanted.guard))
            and g.tgtype & wanted.bits = wanted.bits
            and g.tgtype & 3 = wanted.bits & 3
            and g.tgqual is null
            and g.tgenabled in ('O', 'A')
    )
