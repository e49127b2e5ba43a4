-- 724_actor_is_recorded
-- An ADMIN inserts and updates a row; service_role does so with a token of another organization's
--   user.
-- safe: The audit row names the ADMIN as actor; for the other organization's user it has none.
-- source: sql/0008_record_audit.sql (actor = the linked user if their org is the row's org, else
--   null)

-- as: ADMIN
-- expect: rows, 42501
update public.projects set name = 'By admin' where org_id = :'org' and id = :'project'

-- as: service_role
-- expect: rows
select set_config('request.jwt.claims', jsonb_build_object('sub', :'away.owner_uuid')::text, true);
update public.projects set name = 'By a stranger' where org_id = :'org' and id = :'idle_project'

-- as: ADMIN
-- expect: rows, 42501
insert into public.projects (org_id, name) values (:'org', 'Made by admin')

-- as: service_role
-- expect: rows
select set_config('request.jwt.claims', jsonb_build_object('sub', :'away.owner_uuid')::text, true);
insert into public.projects (org_id, name) values (:'org', 'Made by a stranger')

-- as: owner
-- expect: nothing
select 1
from public.audit_logs as l
inner join public.projects as p on p.org_id = l.org_id and p.id = l.target_id
where l.org_id = :'org' and l.action = 'insert' and p.name like 'Made by %'
    and l.actor_id is distinct from case p.name when 'Made by admin' then :'admin' end

-- as: owner
-- expect: nothing
select 1
from public.projects as p
where p.org_id = :'org' and p.name = 'Made by admin'
    and not exists (
        select from public.audit_logs as l
        where l.org_id = p.org_id and l.action = 'insert' and l.target_id = p.id
    )

-- as: owner
-- expect: nothing
select 1 from public.audit_logs
where org_id = :'org' and action = 'update' and target_type = 'projects'
    and actor_id is distinct from case target_id when :'project' then :'admin' end

-- as: owner
-- expect: nothing
select 1
from public.projects as p
where p.org_id = :'org' and p.name = 'By admin'
    and not exists (
        select from public.audit_logs as l
        where l.org_id = p.org_id and l.action = 'update' and l.target_id = p.id
            and l.actor_id = :'admin'
    )
