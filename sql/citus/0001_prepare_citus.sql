-- 0001_prepare_citus
-- Check the nodes of the cluster, and let the API roles connect between them.
-- depends: 0009_enable_row_level_security

do $$
begin
    if not exists (select from pg_extension where extname = 'citus') then
        raise exception 'database % has no extension citus', current_database()
            using errcode = 'undefined_object', hint =
                'On every node, run: create extension citus; on the coordinator then: '
                'select citus_set_coordinator_host(''host'', 5432);';
    end if;

    if not exists (select from pg_dist_node where groupid = 0) then
        raise exception 'the coordinator is not one of the nodes, so it has no reference tables'
            using errcode = 'object_not_in_prerequisite_state', hint =
                'Run: select citus_set_coordinator_host(''host'', 5432);';
    end if;

    if exists (select from pg_dist_node where groupid = 0 and shouldhaveshards) then
        raise exception 'the coordinator must not hold shards: policies on it match no rows'
            using errcode = 'object_not_in_prerequisite_state', hint =
                'Run: select citus_set_node_property(''host'', 5432, ''shouldhaveshards'', false);';
    end if;

    if not exists (select from pg_dist_node where isactive and shouldhaveshards) then
        raise exception 'there is no active worker to hold shards'
            using errcode = 'object_not_in_prerequisite_state', hint =
                'Run: select citus_add_node(''host'', 5432);';
    end if;
end
$$;

-- The logins that this file adds, so that the rollback removes exactly these.
create table if not exists app.logins_before as
select rolname
from pg_roles
where rolname in ('authenticated', 'service_role')
    and not rolcanlogin;
comment on table app.logins_before is
    'API roles that got LOGIN by 0001_prepare_citus. Its rollback removes it again.';
revoke all on app.logins_before from public, anon, authenticated, service_role;

-- Citus connects from one node to another as the current role, so these two need LOGIN. They have
-- no password: pg_hba.conf of each node decides from where they may connect. anon is not needed.
do $$
declare
    api_role name;
begin
    for api_role in
        select rolname
        from pg_roles
        where rolname in ('authenticated', 'service_role')
            and not rolcanlogin
    loop
        execute format('alter role %I login', api_role);
    end loop;
end
$$;
