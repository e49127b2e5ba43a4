-- 04_workflows
-- Workflows of each project: most have reached G0 to G3, one in ten has reached G8.
-- statement_timeout: 0
--
-- The earlier gates are approved by the OWNER of the organization.

insert into public.workflows
    (org_id, id, project_id, gate, status, metadata, approver_id, approved_at)
select
    made.stem || 'org000000000',
    made.stem || 'w' || lpad(n::text, 10, '0') || g,
    made.stem || 'p' || lpad(n::text, 11, '0'),
    ('G' || g)::public.workflow_gate,
    case
        when g < made.reached then 'approved'
        else ('{pending,in_review,rejected,pending}'::text[])[1 + (k + n) % 4]
    end,
    jsonb_build_object('confidence', (50 + (k + n * 7 + g * 13) % 50) / 100.0),
    case when g < made.reached then made.stem || 'u00000000001' end,
    case
        when g < made.reached then timestamptz '2023-01-02 12:00:00+00'
            + (k * 7919 % 900 + n * 17 % 80 + g * 9) * interval '24 hours'
    end
from generate_series(1, current_setting('seed.orgs')::int) as k
cross join lateral generate_series(1, 1 + (current_setting('seed.orgs')::int / 10 + 5) / (2 * k)) as n
cross join lateral (
    select
        'cscale' || lpad(k::text, 7, '0') as stem,
        case when (k + n) % 10 = 0 then 8 else (k + n * 3) % 4 end as reached
) as made
cross join lateral generate_series(0, made.reached) as g
on conflict (org_id, id) do nothing;
