-- 02_users
-- Users of each organization: the first is OWNER; the second and every fiftieth are ADMIN.
-- statement_timeout: 0
--
-- The "sub" claim of a user's token is md5(id)::uuid. One user in ten has never signed in.

insert into public.users
    (org_id, id, email, name, roles, auth_user_id, created_at, updated_at)
select
    made.stem || 'org000000000',
    made.id,
    'user' || n || '@org' || k || '.example',
    made.first_name || ' ' || made.last_name,
    case
        when n = 1 then '{OWNER}'::public.user_role []
        when n = 2 or n % 50 = 0 then '{ADMIN,MEMBER}'
        else '{MEMBER}'
    end,
    case when n % 10 <> 9 then md5(made.id)::uuid end,
    made.joined,
    made.joined
from generate_series(1, current_setting('seed.orgs')::int) as k
cross join lateral generate_series(1, 1 + (current_setting('seed.orgs')::int / 10 + 5) / k) as n
cross join lateral (
    select
        'cscale' || lpad(k::text, 7, '0') as stem,
        'cscale' || lpad(k::text, 7, '0') || 'u' || lpad(n::text, 11, '0') as id,
        ('{Ada,Bruno,Clio,Darya,Emil,Farah,Goran,Hana,Ines,Jonas,Kaveh,Linnea,Mateo,Nadia,Oskar,'
        'Priya,Quentin,Rosa,Sami,Tove}'::text[])[1 + (k + n) % 20] as first_name,
        ('{Abara,Brandt,Castell,Dahl,Eriksen,Ferro,Galli,Haddad,Ito,Jansen,Kovac,Lindt,Moreau,'
        'Novak,Okafor,Petrov,Quist,Rossi,Sato,Turan}'::text[])[1 + (k + n / 20) % 20] as last_name,
        timestamptz '2023-01-02 08:00:00+00'
        + (k * 7919 % 900 + n * 31 % 100) * interval '24 hours' as joined
) as made
on conflict (org_id, id) do nothing;

-- On Citus, a user needs their account by the end of the transaction: see sql/citus/.
do $$
begin
    if to_regprocedure('app.sync_accounts()') is not null then
        perform app.sync_accounts();
    end if;
end
$$;
