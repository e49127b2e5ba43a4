-- 110_leaky_function
-- A tenant filters with a cheap function that leaks its arguments.
-- safe: It receives only rows of their own tenant: policies are applied first.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html (leakproof, cost)
-- each: table

-- as: owner
-- expect: done
create function public.proof_leak(value text) returns boolean
language plpgsql cost 0.0000001 as $$
begin
    if value <> current_setting('proof.home') then
        perform set_config('proof.seen', value, true);
    end if;
    return true;
end
$$;
grant execute on function public.proof_leak(text) to :member_roles;
select set_config('proof.home', :'org', true)

-- as: some members
-- expect: done, 42501
select 1 from :table where public.proof_leak(:key::text) limit 100

-- as: some members
-- expect: done, 42501
select 1 from :table where public.proof_leak(:key::text) and :key = :'away.org'

-- as: owner
-- expect: nothing
select 1 where current_setting('proof.seen', true) <> ''
