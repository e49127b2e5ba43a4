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

-- A function that a body calls is on the workers only if Citus was there when it was created. And a
-- worker that joins gets functions, but no REVOKE: PUBLIC may execute them there, and create
-- temporary objects. Citus sends a REVOKE to all nodes, even if it changes nothing here.
create or replace function app.protect_nodes()
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    ours record;
begin
    for ours in
        select
            p.oid::regprocedure as name,
            has_function_privilege('public', p.oid, 'execute') as is_public,
            exists (
                select
                from pg_dist_object as d
                where d.classid = 'pg_proc'::regclass
                    and d.objid = p.oid
            ) as is_on_workers
        from pg_proc as p
        where p.pronamespace in (to_regnamespace('app'), to_regnamespace('auth'))
            and p.prokind = 'f'
            and pg_has_role(p.proowner, 'usage')
    loop
        if not ours.is_on_workers then
            perform create_distributed_function(ours.name);
        end if;

        if not ours.is_public then
            execute format('revoke all on function %s from public', ours.name);
        end if;
    end loop;

    if not has_database_privilege('public', current_database(), 'temporary') then
        -- In its own transaction on each worker: Citus sends no REVOKE about a database that it has
        -- not created there, such as a copy of another.
        perform run_command_on_workers(
            format(
                'set citus.enable_ddl_propagation to off; '
                'revoke temporary on database %I from public',
                current_database()
            )
        );
    end if;

    if not has_schema_privilege('public', 'public', 'create') then
        revoke create on schema public from public;
    end if;
end
$$;
comment on function app.protect_nodes() is
    'Gives every node the functions and the REVOKEs of the coordinator; to call for a new worker.';
revoke all on function app.protect_nodes() from public;

do $$
begin
    perform app.protect_nodes();
end
$$;
