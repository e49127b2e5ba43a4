-- 01_organizations
-- Generated organizations for load tests, seed.orgs in number: a few large ones, many small ones.
-- statement_timeout: 0
--
-- `python -m runner seed --scale 1000` loads these files; plain `seed` does not. With psql:
--     export PGOPTIONS='-c seed.orgs=1000'
--     cat seeds/scale/*.sql | psql -1 -v ON_ERROR_STOP=1
--
-- All values are computed from the number k of the organization and the number n of the row in it,
-- so the same size gives the same rows, and a larger size only adds rows. The size of organization k
-- is proportional to 1/k. Existing rows are left alone. Ids begin with cscale and the number of the
-- organization, at most 9,999,999.

insert into public.organizations (id, name, billing_plan, settings, limits, created_at)
select
    made.stem || 'org000000000',
    made.adjective || ' ' || made.noun || ' ' || k,
    made.plan,
    jsonb_build_object('locale', made.locale, 'week_starts_on', made.first_day),
    case made.plan
        when 'FREE' then '{"projects": 5, "users": 10, "agent_runs_per_month": 300}'::jsonb
        when 'PRO' then '{"projects": 100, "users": 200, "agent_runs_per_month": 20000}'
        else '{"projects": 10000, "users": 20000, "agent_runs_per_month": 1000000}'
    end,
    timestamptz '2023-01-02 08:00:00+00' + k * 7919 % 900 * interval '24 hours'
from generate_series(1, current_setting('seed.orgs')::int) as k
cross join lateral (
    select
        'cscale' || lpad(k::text, 7, '0') as stem,
        ('{Amber,Brisk,Copper,Drift,Early,Fern,Gravel,Hazel,Inland,Juniper,Kindled,Lantern,Mossy,'
        'Northern,Open,Pebble,Quiet,Russet,Silver,Tidal}'::text[])[1 + k % 20] as adjective,
        ('{Anvil,Bakery,Canal,Dairy,Engine,Foundry,Granary,Harbour,Ironworks,Jetty,Kiln,Loom,Mill,'
        'Nursery,Orchard,Press,Quarry,Ropewalk,Smithy,Tannery}'::text[])[1 + k / 20 % 20] as noun,
        ('{en-GB,en-IE,de-DE,fr-FR,nl-NL,da-DK,es-ES}'::text[])[1 + k % 7] as locale,
        ('{monday,monday,sunday}'::text[])[1 + k % 3] as first_day,
        case
            when k <= 10 or k % 500 = 0 then 'ENTERPRISE'::public.billing_plan
            when k % 7 = 0 then 'PRO'
            else 'FREE'
        end as plan
) as made
on conflict (id) do nothing;
