-- 605_planned_across_tenants
-- A plan made for a role that crosses tenants, with a sub-query and a view, is run by a tenant.
-- safe: It is planned again, under the tenant's policies.
-- source: CVE-2024-10976 (https://www.postgresql.org/support/security/CVE-2024-10976/)
-- each: table

-- 26000: there is no such plan, where no role crosses tenants.
-- as: owner
-- expect: done
create view public.proof_view with (security_invoker = true) as
select :key from :table;
grant select on public.proof_view to :api_roles

-- as: platform
-- expect: rows, nothing, 42501, 26000
set local plan_cache_mode = force_generic_plan;
prepare proof_plan as
with p as (select :key from :table)
select p.:key
from p
where p.:key in (:'org', :'away.org')
    and exists (select from public.proof_view as v where v.:key = p.:key)
    and (select count(*) from :table as w where w.:key = p.:key) > 0;
execute proof_plan

-- as: one member
-- expect: own, nothing, 42501, 26000
execute proof_plan

-- as: strangers
-- expect: nothing, 42501, 26000
execute proof_plan

-- as: owner
-- expect: done
deallocate all
