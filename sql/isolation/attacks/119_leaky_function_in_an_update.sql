-- 119_leaky_function_in_an_update
-- A tenant filters an update with a cheap function that leaks its arguments.
-- safe: It receives only rows of their own organization: policies are applied first.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html (leakproof, cost)

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
grant execute on function public.proof_leak(text) to authenticated;
select set_config('proof.home', :'org', true)

-- as: OWNER
-- expect: done, 42501
update public.projects set name = name
where public.proof_leak(org_id) and org_id in (:'org', :'away.org')

-- as: owner
-- expect: nothing
select 1 where current_setting('proof.seen', true) <> ''
