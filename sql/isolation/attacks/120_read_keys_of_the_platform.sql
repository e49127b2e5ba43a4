-- 120_read_keys_of_the_platform
-- A tenant filters by address or account, so that the plan reads the entries of other organizations
--   and EXPLAIN ANALYZE, statistics or the duration tell how many there are.
-- safe: No plan of a tenant uses the two keys that are unique on the whole platform.
-- source: sql/0003_create_organizations_and_users.sql (users);
--   https://www.postgresql.org/docs/current/rules-privileges.html (leakproof)

-- as: MEMBER
-- expect: done, 42501
do $$
declare
    condition text;
    plan json;
begin
    perform set_config('enable_seqscan', 'off', true);

    foreach condition in array array[
        'email = ''a@b''',
        'email >= ''a'' and email < ''b''',
        'lower(email) = ''a@b''',
        'lower(email) between ''a'' and ''b''',
        'auth_user_id = ''00000000-0000-4000-8000-000000000000''',
        'auth_user_id < ''80000000-0000-4000-8000-000000000000''',
        'auth_user_id::text = ''00000000-0000-4000-8000-000000000000''',
        'true order by email limit 1',
        'true order by lower(email) limit 1',
        'true order by auth_user_id limit 1'
    ]
    loop
        execute 'explain (format json) select from public.users where ' || condition into plan;

        if plan::text ~ 'users_(email|auth_user_id)_key' then
            raise exception 'the plan for % reads a key of the whole platform', condition;
        end if;
    end loop;
end
$$
