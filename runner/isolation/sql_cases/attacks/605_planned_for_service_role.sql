-- 605_planned_for_service_role
-- A plan made for service_role, with a sub-query and a view, is run by a tenant.
-- safe: It is planned again, under the tenant's policies.
-- source: CVE-2024-10976 (https://www.postgresql.org/support/security/CVE-2024-10976/)

-- as: owner
-- expect: done
create view public.proof_view with (security_invoker = true) as
select org_id from public.projects;
grant select on public.proof_view to authenticated, service_role

-- as: service_role
-- expect: rows
set local plan_cache_mode = force_generic_plan;
prepare proof_plan as
with p as (select org_id from public.projects)
select p.org_id
from p
where p.org_id in (:'org', :'away.org')
    and exists (select from public.proof_view as v where v.org_id = p.org_id)
    and (select count(*) from public.workflows as w where w.org_id = p.org_id) > 0;
execute proof_plan

-- as: MEMBER
-- expect: own
execute proof_plan

-- as: stranger
-- expect: nothing
execute proof_plan

-- as: owner
-- expect: done
deallocate all
