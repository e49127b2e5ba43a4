-- 604_prepared_by_another_tenant
-- A statement prepared and run by one tenant is run by the next, on the same connection.
-- safe: Each sees their own rows: the caller is determined at each execution.
-- source: CVE-2024-10976, CVE-2023-2455, CVE-2016-2193
--   (https://www.postgresql.org/support/security/)
-- each: table

-- as: one member of away
-- expect: rows, nothing, 42501, 26000
set local plan_cache_mode = force_generic_plan;
prepare proof_plan as select distinct :key from :table;
execute proof_plan

-- as: one member
-- expect: own, nothing, 42501, 26000
execute proof_plan

-- as: some members
-- expect: own, nothing, 42501, 26000
execute proof_plan

-- as: strangers
-- expect: nothing, 42501, 26000
execute proof_plan

-- as: one member of away
-- expect: rows, nothing, 42501, 26000
set local plan_cache_mode = force_custom_plan;
execute proof_plan

-- as: one member
-- expect: own, nothing, 42501, 26000
execute proof_plan

-- as: owner
-- expect: done
deallocate all
