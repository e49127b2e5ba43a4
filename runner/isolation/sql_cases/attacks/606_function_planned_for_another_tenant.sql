-- 606_function_planned_for_another_tenant
-- A function whose plan was cached or inlined for one tenant is called by the next.
-- safe: Each sees their own rows.
-- source: CVE-2023-2455, CVE-2016-2193 (https://www.postgresql.org/support/security/)

-- as: owner
-- expect: done
create function public.proof_kept() returns setof text language plpgsql stable as $$
begin
    return query select distinct p.org_id from public.projects as p;
end
$$;
create function public.proof_inlined() returns setof text language sql stable as $$
    select p.org_id from public.projects as p where p.org_id is not null
$$;
grant execute on function public.proof_kept(), public.proof_inlined()
to authenticated, service_role

-- as: service_role, MEMBER of away
-- expect: rows
select 1 from public.proof_kept() limit 1

-- as: MEMBER, OWNER
-- expect: own
select * from public.proof_kept()

-- as: service_role, MEMBER of away
-- expect: rows
select 1 from public.proof_inlined() limit 1

-- as: MEMBER, OWNER
-- expect: own
select * from public.proof_inlined()

-- as: stranger
-- expect: nothing
select * from public.proof_kept()
