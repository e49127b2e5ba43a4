-- 0006_check_distribution
-- Check that every table is distributed, and that shards have what protects their tables.
-- depends: 0005_create_request_functions

-- A migration of the schema that adds a table knows nothing of Citus, so the table stays on the
-- coordinator until a file here distributes it. Call app.check_distribution() then, and after a
-- worker was added, shards were moved or Citus was upgraded. It is in a file of its own, because it
-- asks the workers by other connections, which do not see what this transaction has changed.

create or replace function app.distribution_problems(out problem text, out fix text)
returns setof record
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    -- Of a table or of one of its shards. Oids differ between nodes, and so may the search_path,
    -- with which an expression is written. Triggers for each statement are on the coordinator only.
    protection text := $query$
        select jsonb_build_object(
            'policies', (
                select jsonb_agg(
                    jsonb_build_array(
                        p.polname,
                        p.polcmd,
                        p.polpermissive,
                        array(select pg_get_userbyid(r) from unnest(p.polroles) as r order by 1),
                        replace(pg_get_expr(p.polqual, p.polrelid), 'public.', ''),
                        replace(pg_get_expr(p.polwithcheck, p.polrelid), 'public.', '')
                    )
                    order by p.polname
                )
                from pg_policy as p
                where p.polrelid = c.oid
            ),
            'row-level security', jsonb_build_array(c.relrowsecurity, c.relforcerowsecurity),
            'triggers', (
                select jsonb_agg(
                    jsonb_build_array(t.tgfoid::regproc::text, t.tgtype, t.tgenabled)
                    order by t.tgfoid::regproc::text, t.tgtype
                )
                from pg_trigger as t
                where t.tgrelid = c.oid and not t.tgisinternal and t.tgtype & 1 = 1
            ),
            'privileges', (
                select jsonb_agg(
                    jsonb_build_array(pg_get_userbyid(a.grantee), a.privilege_type, a.attname)
                    order by pg_get_userbyid(a.grantee), a.privilege_type, a.attname
                )
                from (
                    select acl.grantee, acl.privilege_type, '' as attname
                    from aclexplode(c.relacl) as acl
                    union all
                    select acl.grantee, acl.privilege_type, att.attname::text
                    from pg_attribute as att
                    cross join aclexplode(att.attacl) as acl
                    where att.attrelid = c.oid and not att.attisdropped
                ) as a
            )
        )
        from pg_class as c
        where c.oid = '%s'::regclass
    $query$;
    -- Without the functions of this file, which workers may not have yet.
    node text := $query$
        select jsonb_build_object(
            'functions', (
                select md5(
                    string_agg(
                        concat(p.proname, p.prosrc, p.proconfig, p.prosecdef, p.provolatile),
                        '' order by p.proname collate "C", p.prosrc collate "C"
                    )
                )
                from pg_proc as p
                where p.pronamespace = 'app'::regnamespace
                    and p.proname not in ('distribution_problems', 'check_distribution')
            ),
            'privileges', (
                select jsonb_agg(distinct jsonb_build_array(a.name, grantee.name, a.privilege))
                from (
                    select p.proname::text, acl.grantee, acl.privilege_type
                    from pg_proc as p
                    cross join aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as acl
                    where p.pronamespace in ('app'::regnamespace, 'auth'::regnamespace)
                        and p.proname not in ('distribution_problems', 'check_distribution')
                    union all
                    select n.nspname::text, acl.grantee, acl.privilege_type
                    from pg_namespace as n
                    cross join aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as acl
                    where n.nspname in ('app', 'auth', 'public')
                    union all
                    select 'database', acl.grantee, acl.privilege_type
                    from pg_database as d
                    cross join aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as acl
                    where d.datname = current_database()
                ) as a (name, grantee, privilege)
                cross join lateral (
                    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end
                ) as grantee (name)
                where grantee.name in ('public', 'anon', 'authenticated', 'service_role')
            )
        )
    $query$;
    organizations oid := 'public.organizations'::regclass;
    distributed record;
    expected jsonb;
begin
    -- Tables that are not distributed, or not as the others are.
    return query
    select
        format('%s is on the coordinator only', rel.oid::regclass),
        case
            when exists (
                select
                from pg_attribute as a
                where a.attrelid = rel.oid
                    and a.attname = 'org_id'
                    and not a.attisdropped
            ) then format(
                'select create_distributed_table(%L, ''org_id'', '
                'colocate_with => ''public.organizations'');',
                rel.oid::regclass
            )
            else format('select create_reference_table(%L);', rel.oid::regclass)
        end
    from pg_class as rel
    where rel.relnamespace = 'public'::regnamespace
        and rel.relkind in ('r', 'p')
        and not rel.relispartition
        and not exists (select from pg_dist_partition as d where d.logicalrelid = rel.oid);

    return query
    select
        format('%s is not distributed by org_id together with organizations', rel.oid::regclass),
        format(
            'select undistribute_table(%1$L); select create_distributed_table(%1$L, ''org_id'', '
            'colocate_with => ''public.organizations'');',
            rel.oid::regclass
        )
    from pg_class as rel
    inner join pg_attribute as a on a.attrelid = rel.oid
    inner join pg_dist_partition as d on d.logicalrelid = rel.oid
    inner join pg_dist_partition as o on o.logicalrelid = organizations
    where rel.relnamespace = 'public'::regnamespace
        and a.attname = 'org_id'
        and not a.attisdropped
        and (column_to_column_name(d.logicalrelid, d.partkey), d.partmethod, d.colocationid)
        is distinct from ('org_id', 'h', o.colocationid);

    return query
    select
        'app.accounts is not a copy on every node'::text,
        'select create_reference_table(''app.accounts'');'::text
    where not exists (
        select
        from pg_dist_partition as d
        where d.logicalrelid = 'app.accounts'::regclass
            and d.partmethod = 'n'
            and d.repmodel = 't'
    );

    -- What Citus makes of policies and triggers without a message, or only on the shards.
    return query
    select
        format(
            'policy %I on %s is restrictive, so it is permissive on shards',
            p.polname, p.polrelid::regclass
        ),
        format('drop policy %I on %s;', p.polname, p.polrelid::regclass)
    from pg_policy as p
    inner join pg_class as rel on rel.oid = p.polrelid
    where not p.polpermissive
        and rel.relnamespace = 'public'::regnamespace
    union all
    select
        format(
            'policy %I on %s has a sub-select, which Citus refuses',
            p.polname, p.polrelid::regclass
        ),
        'Write the condition as in 0002_write_policies_for_shards: '
        'org_id = app.shard_caller_org().'
    from pg_policy as p
    inner join pg_class as rel on rel.oid = p.polrelid
    where concat(p.polqual, p.polwithcheck) like '%{SUBLINK %'
        and rel.relnamespace = 'public'::regnamespace
    union all
    select
        format(
            'trigger %I on %s has a transition table, which a shard does not have',
            t.tgname, t.tgrelid::regclass
        ),
        format('drop trigger %I on %s;', t.tgname, t.tgrelid::regclass)
        || ' Create one for each row instead.'
    from pg_trigger as t
    inner join pg_class as rel on rel.oid = t.tgrelid
    where num_nonnulls(t.tgoldtable, t.tgnewtable) > 0
        and rel.relnamespace = 'public'::regnamespace
    union all
    select
        format(
            '%s.%I has a default, which Citus sends to a shard, but no INSERT privilege of %s',
            rel.oid::regclass, a.attname, writer.name
        ),
        format('alter table %s alter column %I drop default;', rel.oid::regclass, a.attname)
        || ' Set the value in a trigger such as app.fill_in().'
    from pg_class as rel
    inner join pg_attribute as a on a.attrelid = rel.oid
    cross join (values ('authenticated'), ('service_role')) as writer (name)
    where rel.relnamespace = 'public'::regnamespace
        and rel.relkind in ('r', 'p')
        and a.atthasdef
        and a.attgenerated = ''
        and not a.attisdropped
        and has_any_column_privilege(writer.name, rel.oid, 'insert')
        and not has_column_privilege(writer.name, rel.oid, a.attnum, 'insert');

    -- A migration of the schema may have replaced a function by one for a single server.
    return query
    select
        format('function %s is written for a single server', p.oid::regprocedure),
        'Create it again as in 0003_prepare_triggers_for_shards or 0004_distribute_tables.'::text
    from pg_proc as p
    where p.pronamespace = 'app'::regnamespace
        and p.proname not in ('distribution_problems', 'check_distribution')
        and p.prosrc ~ 'auth_user_id::text =|pg_current_xact_id\(|\mnew_rows\M'
        and (
            p.prorettype <> 'trigger'::regtype
            or exists (select from pg_trigger as t where t.tgfoid = p.oid)
        );

    -- What differs between a table and its shards, or between the nodes.
    for distributed in
        select d.logicalrelid as relation
        from pg_dist_partition as d
        where d.partmethod = 'h'
        order by 1
    loop
        execute replace(protection, '%s', distributed.relation::text) into expected;

        return query
        select
            format(
                '%s of %s differ on %s of its shards, such as %s',
                part.key, distributed.relation, count(*), min(shard.shardid)
            ),
            format('Compare them: select * from run_command_on_shards(%L, …);',
                distributed.relation)
        from run_command_on_shards(distributed.relation, protection) as shard
        cross join jsonb_each(expected) as part
        where part.value is distinct from shard.result::jsonb -> part.key
        group by part.key;
    end loop;

    execute node into expected;

    return query
    select
        format('%s differ on the worker %s:%s', part.key, w.nodename, w.nodeport),
        'select app.protect_nodes();'
    from run_command_on_workers(node) as w
    cross join jsonb_each(expected) as part
    where part.value is distinct from w.result::jsonb -> part.key;
end
$$;
comment on function app.distribution_problems() is
    'What is wrong with tables, shards and nodes of this cluster, and how to fix it.';
revoke all on function app.distribution_problems() from public;

create or replace function app.check_distribution()
returns void
language plpgsql
volatile
parallel unsafe
set search_path = pg_catalog, pg_temp
as $$
declare
    problems text;
    fixes text;
begin
    select string_agg(p.problem, E';\n'), string_agg(distinct p.fix, E'\n')
    into problems, fixes
    from app.distribution_problems() as p;

    if problems is not null then
        raise exception '%', problems
            using errcode = 'object_not_in_prerequisite_state', hint = fixes;
    end if;
end
$$;
comment on function app.check_distribution() is
    'Raises an error if app.distribution_problems() returns any.';
revoke all on function app.check_distribution() from public;

do $$
begin
    perform app.check_distribution();
end
$$;
