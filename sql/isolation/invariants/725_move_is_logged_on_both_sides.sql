-- 725_move_is_logged_on_both_sides
-- service_role moves a user or project to another organization, or changes an id.
-- safe: Both organizations' logs have it, and both ids.
-- source: sql/0008_record_audit.sql

-- as: service_role
-- expect: rows
update public.projects set org_id = :'away.org' where org_id = :'org' and id = :'idle_project'

-- as: service_role
-- expect: rows
update public.users set org_id = :'away.org' where org_id = :'org' and id = :'unlinked'

-- as: service_role
-- expect: rows
update public.ai_agents set id = :'new_id' where org_id = :'org' and id = :'agent'

-- Entries that are missing or duplicated.
-- as: owner
-- expect: nothing
select wanted.*
from (
    values
    (:'org', :'idle_project', '["org_id"]'),
    (:'away.org', :'idle_project', '["org_id"]'),
    (:'org', :'unlinked', '["org_id"]'),
    (:'away.org', :'unlinked', '["org_id"]'),
    (:'org', :'agent', '["id"]'),
    (:'org', :'new_id', '["id"]')
) as wanted (org, target, columns)
where 1 <> (
    select count(*)
    from public.audit_logs as l
    where l.org_id = wanted.org
        and l.target_id = wanted.target
        and l.action = 'update'
        and l.meta = jsonb_build_object('columns', wanted.columns::jsonb)
)
