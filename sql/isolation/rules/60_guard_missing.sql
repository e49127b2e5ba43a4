-- 60_guard_missing
-- A guard trigger that is missing, disabled, or covers less than it should.
-- source: sql/0007_guard_rows.sql; https://www.postgresql.org/docs/current/sql-altertable.html
--   (DISABLE TRIGGER)
-- why: Policies decide who sees a row; only the guards decide which changes of it are allowed.

select
    format('trigger %I on %s', wanted.guard, wanted.table_title) as object,
    case
        when found.name is null then format('no trigger runs app.%I() as required', wanted.guard)
        else 'it is disabled'
    end as problem,
    case
        when found.name is null then format(
            'create or replace trigger %I %s on %s%s for each %s execute function app.%I(%s);',
            wanted.name, wanted.event, wanted.table_title,
            case wanted.guard when 'record_insert' then ' referencing new table as new_rows' end,
            wanted.level,
            wanted.guard, wanted.argument
        )
        else format('alter table %s enable trigger %I;', wanted.table_title, found.name)
    end as fix
from (
    -- bits: 1 each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate
    select
        t.oid, t.title, g.name, g.guard, g.event, g.level, g.bits, g.columns,
        case when g.guard like 'record_%' then quote_literal(t.name) else '' end
    from tenant_table as t
    cross join (
        values
        ('record_insert', 'record_insert', 'after insert', 'statement', 4, '{}'),
        ('record_audit', 'record_audit', 'after update or delete', 'row', 25, '{}'),
        ('touch_updated_at', 'touch_updated_at', 'before update', 'row', 19, '{}'),
        ('guard_roles', 'guard_roles', 'before insert or update', 'row', 23, '{}'),
        ('keep_last_owner', 'keep_last_owner', 'after update of roles, org_id or delete', 'row', 25,
            '{org_id,roles}'),
        ('keep_id', 'keep_id', 'after insert or update of id', 'row', 21, '{id}'),
        ('guard_approval', 'guard_approval', 'before insert or update', 'row', 23, '{}'),
        ('keep_audit', 'keep_audit', 'before update or delete', 'row', 27, '{}'),
        ('keep_audit_whole', 'keep_audit', 'before truncate', 'statement', 34, '{}')
    ) as g (name, guard, event, level, bits, columns)
    where not t.is_child
        and case g.guard
            -- On Citus, record_audit records inserts, too: a rule of sql/citus/ is about it.
            when 'record_insert' then t.oid in (select a.oid from audited_table as a)
                and to_regprocedure('app.fill_in()') is null
            when 'record_audit' then t.oid in (select a.oid from audited_table as a)
            when 'touch_updated_at' then exists (
                select from pg_attribute as a
                where a.attrelid = t.oid and a.attname = 'updated_at' and not a.attisdropped
            )
            when 'keep_id' then t.oid = to_regclass('public.organizations')
            when 'guard_approval' then t.oid = to_regclass('public.workflows')
            when 'keep_audit' then t.oid = to_regclass('public.audit_logs')
            else t.oid = to_regclass('public.users')
        end
) as wanted (
    table_oid, table_title, name, guard, event, level, bits, columns, argument
)
left join lateral (
    select t.tgname as name, t.tgenabled as enabled
    from pg_trigger as t
    where t.tgrelid = wanted.table_oid
        and t.tgfoid = to_regprocedure(format('app.%I()', wanted.guard))
        and t.tgtype & wanted.bits = wanted.bits
        and t.tgtype & 3 = wanted.bits & 3
        and t.tgqual is null
        and wanted.columns::name[] = coalesce(
            (
                select array_agg(a.attname order by a.attname)
                from pg_attribute as a
                where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[])
            ),
            '{}'
        )
        and (
            wanted.guard not like 'record_%'
            or encode(t.tgargs, 'escape') = trim(both '''' from wanted.argument) || '\000'
        )
    order by t.tgenabled in ('O', 'A') desc
    limit 1
) as found on true
where found.name is null
    or found.enabled not in ('O', 'A')
