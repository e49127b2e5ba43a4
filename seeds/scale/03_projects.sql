-- 03_projects
-- Projects of each organization: half as many as it has users.
-- statement_timeout: 0

insert into public.projects
    (org_id, id, name, status, config, description, created_at, updated_at)
select
    made.stem || 'org000000000',
    made.id,
    made.verb || ' the ' || made.thing || ' ' || n,
    ('{active,active,draft,paused,archived}'::text[])[1 + (k + n) % 5],
    jsonb_build_object('visibility', 'organization', 'template', made.thing),
    case when n % 3 > 0 then 'What would be lost without the ' || made.thing || '?' end,
    made.begun,
    made.begun
from generate_series(1, current_setting('seed.orgs')::int) as k
cross join lateral generate_series(1, 1 + (current_setting('seed.orgs')::int / 10 + 5) / (2 * k)) as n
cross join lateral (
    select
        'cscale' || lpad(k::text, 7, '0') as stem,
        'cscale' || lpad(k::text, 7, '0') || 'p' || lpad(n::text, 11, '0') as id,
        ('{Rethink,Rebuild,Simplify,Measure,Replace,Extend}'::text[])[1 + (k + n) % 6] as verb,
        ('{checkout,timetable,onboarding,price list,search,stock count,invoice,help desk}'::text[])
        [1 + (k * 3 + n) % 8] as thing,
        timestamptz '2023-01-02 08:00:00+00'
        + (k * 7919 % 900 + n * 17 % 80) * interval '24 hours' as begun
) as made
on conflict (org_id, id) do nothing;
