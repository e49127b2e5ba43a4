-- 01_organizations
-- Two organizations in one database: a ferry line and a bakery.
--
-- All files in seeds/ are idempotent: a missing row is inserted, a row that differs from the file
-- is updated to match it, and an equal row is not touched. Run them again after any edit. Rows that
-- are not in these files are left alone.

insert into public.organizations as organization
    (id, name, billing_plan, settings, limits, created_at)
values
    -- The ferry line: nine ferries, forty-one islands.
    (
        'cskerryline00000000000000',
        'Skerry Line',
        'ENTERPRISE',
        '{
            "tagline": "If the boat is going, you will know before your kettle does.",
            "locale": "en-GB",
            "timezone": "Atlantic/Faroe",
            "week_starts_on": "monday",
            "review": {"approvals_needed_from": ["OWNER", "ADMIN"], "remind_after_hours": 48},
            "brand": {"colour": "#14506b", "mark": "a gull, looking the other way"}
        }',
        '{
            "projects": 200,
            "users": 150,
            "agents": 40,
            "agent_runs_per_month": 50000,
            "audit_retention_days": 2555
        }',
        '2025-01-13 08:05:00+00'
    ),
    -- The bakery: three ovens, one van.
    (
        'coddloaf00000000000000000',
        'Odd Loaf',
        'FREE',
        '{
            "tagline": "Wonky since Tuesday.",
            "locale": "en-IE",
            "timezone": "Europe/Dublin",
            "week_starts_on": "tuesday",
            "review": {"approvals_needed_from": ["OWNER", "ADMIN"], "remind_after_hours": 12},
            "brand": {"colour": "#c98a3b", "mark": "a loaf, leaning"}
        }',
        '{
            "projects": 5,
            "users": 5,
            "agents": 3,
            "agent_runs_per_month": 300,
            "audit_retention_days": 90
        }',
        '2025-03-04 04:40:00+00'
    )
on conflict (id) do update
set
    name = excluded.name,
    billing_plan = excluded.billing_plan,
    settings = excluded.settings,
    limits = excluded.limits,
    created_at = excluded.created_at
where (
    organization.name,
    organization.billing_plan,
    organization.settings,
    organization.limits,
    organization.created_at
) is distinct from (
    excluded.name,
    excluded.billing_plan,
    excluded.settings,
    excluded.limits,
    excluded.created_at
);
