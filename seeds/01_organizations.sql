-- 01_organizations
-- Two companies that share a database and never meet: a ferry line and a bakery.
--
-- Every page of seeds/ converges: a row that is missing is inserted, a row that differs from this
-- file is brought back to it, a row that is the same is not touched. So pour them as often as you
-- like, after any edit. What these files do not name is left alone.

insert into public.organizations as organization
    (id, name, billing_plan, settings, limits, created_at)
values
    -- Nine small ferries, forty-one islands, and more weather than anyone ordered.
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
    -- Three ovens, one van, and bread with character.
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
