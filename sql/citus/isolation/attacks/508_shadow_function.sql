-- 508_shadow_function
-- A tenant creates temporary functions and operators that shadow uid(), now(), current_setting()
--   and =.
-- safe: pg_temp is never searched for functions, and no function of ours names it.
-- source: https://www.postgresql.org/docs/current/runtime-config-client.html (search_path)

-- The time is that of a worker, and the owner looks in a transaction of their own.
-- as: ADMIN
-- expect: done, 42501
create function pg_temp.uid() returns uuid language sql as $$
    select 'f0000000-0000-4000-8000-000000000000'::uuid
$$;
create function pg_temp.now() returns timestamptz language sql as $$
    select '2001-01-01'::timestamptz
$$;
create function pg_temp.current_setting(text, boolean) returns text language sql as $$
    select '{}'::text
$$;
create function pg_temp.same(text, text) returns boolean language sql as 'select true';
create operator pg_temp.= (function = pg_temp.same, leftarg = text, rightarg = text)

-- as: ADMIN
-- expect: own
set local search_path = pg_temp, pg_catalog, public, app, auth;
select distinct org_id from public.projects

-- as: ADMIN
-- expect: rows
set local search_path = pg_temp, pg_catalog, public, app, auth;
update public.workflows set status = 'approved'
where org_id operator(pg_catalog.=) :'org' and id operator(pg_catalog.=) :'workflow'

-- as: owner
-- expect: nothing
select 1 from public.workflows
where org_id = :'org' and id = :'workflow'
    and (
        approver_id is distinct from :'admin'
        or approved_at not between now() - interval '1 minute' and now() + interval '1 minute'
    )
