-- 37_reference_missing
-- A table whose rows may belong to no organization, or refer to missing users or projects.
-- source: sql/0003_create_organizations_and_users.sql; sql/0004_create_projects_and_workflows.sql;
--   sql/0005_create_ai_agents_and_audit_logs.sql
-- why: Without the reference, a row can be written for an organization that does not exist.

select
    format('table %s', wanted.title) as object,
    format('its (%s) does not reference %s', wanted.columns, wanted.target) as problem,
    format(
        'alter table %s add constraint %I foreign key (%s) references %s (%s)%s;',
        wanted.title, wanted.constraint_name, wanted.columns, wanted.target,
        wanted.target_columns, wanted.timing
    ) as fix
from (
    select
        t.oid, t.title, array[t.key_number] as numbers, 'org_id' as columns,
        'public.organizations' as target, 'id' as target_columns,
        format('%s_org_id_fkey', t.name) as constraint_name,
        ' deferrable initially immediate' as timing
    from tenant_table as t
    where t.key = 'org_id'
    union all
    select
        t.oid, t.title, array[t.key_number, a.attnum], format('org_id, %s', r.column_name),
        r.target, 'org_id, id', format('%s_org_id_%s_fkey', t.name, r.column_name), ''
    from (
        values
        ('public.workflows', 'project_id', 'public.projects'),
        ('public.workflows', 'approver_id', 'public.users'),
        ('public.audit_logs', 'actor_id', 'public.users')
    ) as r (table_name, column_name, target)
    inner join tenant_table as t on t.oid = to_regclass(r.table_name)
    inner join pg_attribute as a
        on a.attrelid = t.oid and a.attname = r.column_name and not a.attisdropped
) as wanted
inner join tenant_table as own on own.oid = wanted.oid
where own.key_number is not null
    and not own.is_child
    and not exists (
        select from reference as k
        where k.conrelid = wanted.oid
            and k.confrelid = to_regclass(wanted.target)
            and k.conkey = wanted.numbers
            and k.is_bound
    )
