-- 0000_create_new_things: rollback
-- Drop the table and all its rows.

drop table if exists public.new_things;
