-- 0004_create_projects_and_workflows: rollback
-- Drop both tables and all their rows.

drop table if exists public.workflows;
drop table if exists public.projects;
