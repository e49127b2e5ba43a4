-- 05_ai_agents
-- AI agents of each organization: one for every eight users.
-- statement_timeout: 0

insert into public.ai_agents (org_id, id, type, config, performance, created_at)
select
    made.stem || 'org000000000',
    made.id,
    ('{researcher,summarizer,critic,estimator,planner}'::text[])[1 + (k + n) % 5],
    jsonb_build_object('temperature', (k + n) % 10 / 10.0, 'max_steps', 10 + n % 40),
    jsonb_build_object('runs', (k * 37 + n * 11) % 5000, 'succeeded', (80 + (k + n) % 20) / 100.0),
    timestamptz '2023-01-02 09:00:00+00' + (k * 7919 % 900 + n % 60) * interval '24 hours'
from generate_series(1, current_setting('seed.orgs')::int) as k
cross join lateral generate_series(1, 1 + (current_setting('seed.orgs')::int / 10 + 5) / (8 * k)) as n
cross join lateral (
    select
        'cscale' || lpad(k::text, 7, '0') as stem,
        'cscale' || lpad(k::text, 7, '0') || 'a' || lpad(n::text, 11, '0') as id
) as made
on conflict (org_id, id) do nothing;
