-- 0004_create_projects_and_workflows, the way back
-- Drops both tables with all their rows.

drop table if exists public.workflows;
drop table if exists public.projects;
