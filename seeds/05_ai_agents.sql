-- 05_ai_agents
-- AI agents of both organizations: researcher, planner, critic, estimator and scribe.
--
-- config holds the agent's instructions, performance its measured results.

insert into public.ai_agents as agent
    (org_id, id, type, config, performance, created_at)
values
    -- Skerry Line has one agent of each type.
    (
        'cskerryline00000000000000',
        'cskerryagent01researcher0',
        'researcher',
        '{
            "name": "Lookout",
            "model": "deep-3",
            "temperature": 0.2,
            "gates": ["G0", "G1", "G2"],
            "tools": ["web_search", "tide_tables", "interview_notes"],
            "instructions": "Say what you saw, where you saw it, and how sure you are."
        }',
        '{
            "runs": 412,
            "accepted": 371,
            "acceptance_rate": 0.9,
            "median_seconds": 38.5,
            "tokens": {"in": 6120400, "out": 884100},
            "last_run_at": "2025-10-01T06:12:44Z"
        }',
        '2025-01-21 09:05:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryagent02planner0000',
        'planner',
        '{
            "name": "Pilot",
            "model": "deep-3",
            "temperature": 0.3,
            "gates": ["G3", "G4", "G5"],
            "tools": ["roadmap", "diagram"],
            "instructions": "Plan for the tide you have, not the tide you were promised."
        }',
        '{
            "runs": 188,
            "accepted": 151,
            "acceptance_rate": 0.8,
            "median_seconds": 71.2,
            "tokens": {"in": 3908800, "out": 1210300},
            "last_run_at": "2025-09-29T14:02:10Z"
        }',
        '2025-01-21 09:06:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryagent03critic00000',
        'critic',
        '{
            "name": "The Other Gull",
            "model": "swift-2",
            "temperature": 0.7,
            "gates": ["G1", "G2", "G3", "G4", "G5", "G6", "G7"],
            "tools": ["checklist"],
            "instructions": "Ask the question no one in the boat wants to ask. Once. Politely."
        }',
        '{
            "runs": 530,
            "accepted": 302,
            "acceptance_rate": 0.57,
            "median_seconds": 9.8,
            "objections_raised": 1288,
            "objections_that_were_right": 417,
            "tokens": {"in": 2210900, "out": 402700},
            "last_run_at": "2025-10-01T06:14:02Z"
        }',
        '2025-01-21 09:07:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryagent04estimator00',
        'estimator',
        '{
            "name": "Plumb Line",
            "model": "deep-3",
            "temperature": 0.0,
            "gates": ["G6"],
            "tools": ["past_projects", "monte_carlo"],
            "instructions": "Three numbers: hopeful, honest, and November."
        }',
        '{
            "runs": 64,
            "accepted": 49,
            "acceptance_rate": 0.77,
            "median_seconds": 122.0,
            "mean_error_percent": 14.5,
            "tokens": {"in": 1480200, "out": 96300},
            "last_run_at": "2025-07-30T16:45:31Z"
        }',
        '2025-02-03 08:30:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryagent05scribe00000',
        'scribe',
        '{
            "name": "Fair Copy",
            "model": "swift-2",
            "temperature": 0.4,
            "gates": ["G7", "G8"],
            "tools": ["blueprint_export", "glossary"],
            "instructions": "Short words. If a skipper would not say it, neither will we."
        }',
        '{
            "runs": 97,
            "accepted": 93,
            "acceptance_rate": 0.96,
            "median_seconds": 26.1,
            "pages_written": 318,
            "tokens": {"in": 990700, "out": 611900},
            "last_run_at": "2025-09-30T15:10:27Z"
        }',
        '2025-02-03 08:31:00+00'
    ),
    -- Odd Loaf has the three agents that its limits allow. The last one has no runs yet.
    (
        'coddloaf00000000000000000',
        'coddloafagent01researcher',
        'researcher',
        '{
            "name": "Nose",
            "model": "swift-2",
            "temperature": 0.3,
            "gates": ["G0", "G1", "G2"],
            "tools": ["web_search", "till_receipts"],
            "instructions": "Find out what the street eats when it thinks no one is looking."
        }',
        '{
            "runs": 83,
            "accepted": 70,
            "acceptance_rate": 0.84,
            "median_seconds": 17.4,
            "tokens": {"in": 402300, "out": 71800},
            "last_run_at": "2025-09-27T19:21:05Z"
        }',
        '2025-03-12 05:35:00+00'
    ),
    (
        'coddloaf00000000000000000',
        'coddloafagent02critic0000',
        'critic',
        '{
            "name": "Crust",
            "model": "swift-2",
            "temperature": 0.6,
            "gates": ["G1", "G2", "G3", "G4", "G6"],
            "tools": ["checklist"],
            "instructions": "Hard outside, soft inside. Never criticise before the first coffee."
        }',
        '{
            "runs": 121,
            "accepted": 88,
            "acceptance_rate": 0.73,
            "median_seconds": 7.9,
            "objections_raised": 240,
            "objections_that_were_right": 131,
            "tokens": {"in": 318800, "out": 64100},
            "last_run_at": "2025-09-25T12:31:19Z"
        }',
        '2025-03-12 05:36:00+00'
    ),
    (
        'coddloaf00000000000000000',
        'coddloafagent03planner000',
        'planner',
        '{
            "name": "Proof Basket",
            "model": "swift-2",
            "temperature": 0.3,
            "gates": ["G3", "G4", "G5"],
            "tools": ["roadmap"],
            "instructions": "Everything takes as long as it takes to rise. Write that down."
        }',
        '{
            "runs": 0,
            "accepted": 0
        }',
        '2025-09-26 15:00:00+00'
    )
on conflict (org_id, id) do update
set
    type = excluded.type,
    config = excluded.config,
    performance = excluded.performance,
    created_at = excluded.created_at
where (
    agent.type,
    agent.config,
    agent.performance,
    agent.created_at
) is distinct from (
    excluded.type,
    excluded.config,
    excluded.performance,
    excluded.created_at
);
