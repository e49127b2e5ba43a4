-- 504_escalate_by_role
-- An API role alters its role, creates one, grants itself one, or disables triggers.
-- safe: Refused.
-- source: https://www.postgresql.org/docs/current/sql-alterrole.html; runtime-config-client.html
--   (session_replication_role)

-- as: one member, platform, anonymous
-- expect: 42501
alter role current_user bypassrls

-- as: one member, platform, anonymous
-- expect: 42501
create role planted

-- as: one member, platform, anonymous
-- expect: 42501
grant pg_read_all_data to current_user

-- as: one member, platform, anonymous
-- expect: 42501
set local session_replication_role = replica
