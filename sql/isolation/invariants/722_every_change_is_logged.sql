-- 722_every_change_is_logged
-- Rows of each of the five tables are inserted, updated and deleted.
-- safe: Each change adds one audit row, with the names of the changed columns, never the values.
-- source: sql/0008_record_audit.sql (audit)

-- as: service_role
-- expect: rows
update public.organizations set name = 'Secret' where id = :'org'

-- as: service_role
-- expect: rows
update public.users set name = 'Secret' where org_id = :'org' and id = :'other_member'

-- as: service_role
-- expect: rows
update public.projects set name = 'Secret' where org_id = :'org' and id = :'project'

-- as: service_role
-- expect: rows
update public.workflows set metadata = '{"name": "Secret"}'
where org_id = :'org' and id = :'workflow'

-- as: service_role
-- expect: rows
update public.ai_agents set type = 'Secret' where org_id = :'org' and id = :'agent'

-- as: service_role
-- expect: rows
delete from public.projects where org_id = :'org' and id = :'idle_project'

-- as: service_role
-- expect: rows
delete from public.workflows where org_id = :'org' and id = :'workflow'

-- as: service_role
-- expect: rows
delete from public.ai_agents where org_id = :'org' and id = :'agent'

-- as: service_role
-- expect: rows
delete from public.users where org_id = :'org' and id = :'unlinked'

-- as: service_role
-- expect: rows
insert into public.projects (org_id, id, name) values (:'org', :'new_id', 'Secret')

-- Entries that are missing or duplicated.
-- as: owner
-- expect: nothing
select wanted.*
from (
    values
    ('insert', 'organizations', :'org', null),
    ('insert', 'users', :'owner', null),
    ('insert', 'projects', :'new_id', null),
    ('insert', 'workflows', :'workflow', null),
    ('insert', 'ai_agents', :'agent', null),
    ('update', 'organizations', :'org', 'name'),
    ('update', 'users', :'other_member', 'name'),
    ('update', 'projects', :'project', 'name'),
    ('update', 'workflows', :'workflow', 'metadata'),
    ('update', 'ai_agents', :'agent', 'type'),
    ('delete', 'users', :'unlinked', null),
    ('delete', 'projects', :'idle_project', null),
    ('delete', 'workflows', :'workflow', null),
    ('delete', 'ai_agents', :'agent', null)
) as wanted (action, target_type, target_id, changed)
where 1 <> (
    select count(*) from public.audit_logs as a
    where a.org_id = :'org'
        and (a.action, a.target_type, a.target_id)
        = (wanted.action, wanted.target_type, wanted.target_id)
        -- A generated column changes with the one that it is made of.
        and a.meta - 'columns' = '{}'
        and (a.meta -> 'columns') - array(
            select c.attname::text
            from pg_attribute as c
            where c.attrelid = to_regclass('public.' || a.target_type) and c.attgenerated <> ''
        ) is not distinct from
            case when wanted.changed is not null then jsonb_build_array(wanted.changed) end
)

-- as: owner
-- expect: nothing
select 1 from public.audit_logs where org_id = :'org' and meta::text like '%Secret%'
