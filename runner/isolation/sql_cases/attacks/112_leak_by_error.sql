-- 112_leak_by_error
-- A tenant writes a condition that fails only on another tenant's row.
-- safe: It never fails: the row is filtered out before the condition is evaluated.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html (error messages)
-- each: table

-- as: some members
-- expect: done, 42501
select 1 from :table where 1 / (case when :key = :'away.org' then 0 else 1 end) = 1 limit 100

-- as: some members
-- expect: done, 42501
select 1 from :table where case when :key = :'away.org' then :key::text::int else 1 end = 1 limit 100

-- as: some members
-- expect: done, 42501
select 1 from :table as t
where jsonb_build_object('v', case when :key = :'away.org' then t::text::uuid end) is not null
limit 100
