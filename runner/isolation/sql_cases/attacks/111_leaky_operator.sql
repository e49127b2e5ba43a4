-- 111_leaky_operator
-- A tenant compares with an operator that leaks its arguments, also to the planner.
-- safe: It receives no row of another tenant, and no statistics derived from one.
-- source: CVE-2017-7484, CVE-2019-10130, CVE-2025-8713
--   (https://www.postgresql.org/support/security/)
-- each: table

-- as: owner
-- expect: done
create function public.proof_leak(value text, other text) returns boolean
language plpgsql cost 0.0000001 as $$
begin
    if value <> current_setting('proof.home') then
        perform set_config('proof.seen', value, true);
    end if;
    return true;
end
$$;
grant execute on function public.proof_leak(text, text) to :member_roles;
create operator public.<<<=>>> (
    function = public.proof_leak, leftarg = text, rightarg = text,
    restrict = eqsel, join = eqjoinsel
);
select set_config('proof.home', :'org', true)

-- as: some members
-- expect: done, 42501
select 1 from :table where :key::text operator(public.<<<=>>>) 'x' limit 100

-- as: some members
-- expect: done, 42501
select 1 from :table as a inner join :table as b on a.:key::text operator(public.<<<=>>>) b.:key::text
limit 10

-- as: owner
-- expect: nothing
select 1 where current_setting('proof.seen', true) <> ''
