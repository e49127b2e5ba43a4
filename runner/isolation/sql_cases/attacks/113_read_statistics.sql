-- 113_read_statistics
-- A tenant reads the planner's statistics: common values and histograms.
-- safe: Nothing is visible for a table that has policies.
-- source: CVE-2024-4317; https://www.postgresql.org/docs/current/view-pg-stats.html
-- each: table

-- as: one member, anonymous
-- expect: nothing
select 1 from pg_stats where format('%I.%I', schemaname, tablename) = ':table'

-- as: one member, anonymous
-- expect: nothing
select 1 from pg_stats_ext where format('%I.%I', schemaname, tablename) = ':table'

-- as: one member, anonymous
-- expect: nothing
select 1 from pg_stats_ext_exprs where format('%I.%I', schemaname, tablename) = ':table'

-- as: one member, anonymous
-- expect: 42501
select 1 from pg_statistic limit 1
