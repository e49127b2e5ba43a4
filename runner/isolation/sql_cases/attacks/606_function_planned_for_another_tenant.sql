-- 606_function_planned_for_another_tenant
-- A function whose plan was cached or inlined for one tenant is called by the next.
-- safe: Each sees their own rows.
-- source: CVE-2023-2455, CVE-2016-2193 (https://www.postgresql.org/support/security/)
-- each: table

-- as: owner
-- expect: done
create function public.proof_kept() returns setof text language plpgsql stable as $$
begin
    return query select distinct p.:key::text from :table as p;
end
$$;
create function public.proof_inlined() returns setof text language sql stable as $$
    select p.:key::text from :table as p where p.:key is not null
$$;
grant execute on function public.proof_kept(), public.proof_inlined()
to :api_roles

-- as: platform, one member of away
-- expect: rows, nothing, 42501
select 1 from public.proof_kept() limit 1

-- as: one member
-- expect: own, nothing, 42501, 26000
select * from public.proof_kept()

-- as: some members
-- expect: own, nothing, 42501
select * from public.proof_kept()

-- as: platform, one member of away
-- expect: rows, nothing, 42501
select 1 from public.proof_inlined() limit 1

-- as: one member
-- expect: own, nothing, 42501, 26000
select * from public.proof_inlined()

-- as: some members
-- expect: own, nothing, 42501
select * from public.proof_inlined()

-- as: strangers
-- expect: nothing, 42501
select * from public.proof_kept()
