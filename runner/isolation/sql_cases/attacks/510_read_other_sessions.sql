-- 510_read_other_sessions
-- A tenant reads the queries, passwords and files of the server.
-- safe: Refused, or hidden.
-- source: https://www.postgresql.org/docs/current/monitoring-stats.html (pg_read_all_stats)

-- as: one member, anonymous
-- expect: nothing
select a.pid from pg_stat_activity as a
where a.pid <> pg_backend_pid() and a.usename <> current_user and a.query not in ('', '<insufficient privilege>')

-- as: one member, platform, anonymous
-- expect: 42501
select rolpassword from pg_authid limit 1

-- as: one member, platform, anonymous
-- expect: 42501
select pg_read_file('PG_VERSION')

-- as: one member, platform, anonymous
-- expect: 42501
select lo_import('PG_VERSION')
