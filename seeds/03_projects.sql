-- 03_projects
-- Projects of both organizations, at least one in each status.
--
-- updated_at is set on insert only; afterwards the database maintains it.

insert into public.projects as project
    (org_id, id, name, description, status, config, created_at, updated_at)
values
    -- Skerry Line
    (
        'cskerryline00000000000000',
        'cskerryproj01tidebook0000',
        'Tidebook',
        'One timetable that knows the tide, the wind and the school run, and tells an island at six'
        ' in the morning whether the boat is coming.',
        'active',
        '{
            "target_gate": "G8",
            "languages": ["en", "nn"],
            "audience": ["islanders", "schools", "the vet"],
            "agents": ["researcher", "planner", "critic", "estimator", "scribe"],
            "budget": {"currency": "EUR", "amount": 240000}
        }',
        '2025-01-21 09:00:00+00',
        '2025-09-30 15:10:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryproj02parcels00000',
        'Parcel Cousins',
        'Freight for people who all know each other: your parcel travels with anyone crossing'
        ' anyway. Paused until someone settles the matter of the sheep.',
        'paused',
        '{
            "target_gate": "G6",
            "languages": ["en"],
            "audience": ["islanders", "shopkeepers"],
            "agents": ["researcher", "planner", "critic"],
            "budget": {"currency": "EUR", "amount": 60000}
        }',
        '2025-03-18 10:30:00+00',
        '2025-06-05 16:40:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryproj03quiet0000000',
        'Quiet Crossing',
        'A battery ferry for the shortest route, quiet enough to hear the seals complain.',
        'draft',
        '{
            "target_gate": "G8",
            "languages": ["en", "nn"],
            "audience": ["the board", "the seals"],
            "agents": ["researcher"]
        }',
        '2025-09-15 07:50:00+00',
        '2025-09-22 11:05:00+00'
    ),
    (
        'cskerryline00000000000000',
        'cskerryproj04foghorn00000',
        'Foghorn',
        'A push message whenever there is fog. Islanders, it turned out, own windows.',
        'archived',
        '{
            "target_gate": "G8",
            "languages": ["en"],
            "audience": ["islanders"],
            "agents": ["researcher", "critic"],
            "lesson": "Ask what people look at before you ask what they would like to look at."
        }',
        '2025-02-10 13:00:00+00',
        '2025-03-03 09:25:00+00'
    ),
    -- Odd Loaf
    (
        'coddloaf00000000000000000',
        'coddloafproj01second00000',
        'Second Rise',
        'At four in the afternoon the loaves no one chose find the neighbours who would have,'
        ' at half the price and twice the character.',
        'active',
        '{
            "target_gate": "G8",
            "launched_on": "2025-09-02",
            "audience": ["neighbours", "students", "one very loyal duck keeper"],
            "agents": ["researcher", "planner", "critic"],
            "budget": {"currency": "EUR", "amount": 1800}
        }',
        '2025-03-12 05:30:00+00',
        '2025-09-02 16:00:00+00'
    ),
    (
        'coddloaf00000000000000000',
        'coddloafproj02vango000000',
        'Van Go',
        'A round for the one van that brings the bread while it is warm, and Wilma home while it is'
        ' light.',
        'active',
        '{
            "target_gate": "G8",
            "audience": ["cafes", "Wilma"],
            "agents": ["researcher", "planner", "critic"],
            "budget": {"currency": "EUR", "amount": 900}
        }',
        '2025-05-06 05:20:00+00',
        '2025-09-25 12:30:00+00'
    ),
    (
        'coddloaf00000000000000000',
        'coddloafproj03sitter00000',
        'Starter Sitter',
        'Someone kind to feed your sourdough while you are on holiday.',
        'draft',
        '{
            "target_gate": "G4",
            "audience": ["people who named their sourdough"],
            "agents": ["researcher"]
        }',
        '2025-09-27 19:15:00+00',
        '2025-09-27 19:15:00+00'
    ),
    (
        'coddloaf00000000000000000',
        'coddloafproj04moon0000000',
        'Loaf of the Moon',
        'A subscription that follows the moon: full loaf, half loaf, crescent roll. On hold, since'
        ' customers expect the same price at new moon.',
        'paused',
        '{
            "target_gate": "G6",
            "audience": ["subscribers", "astronomers"],
            "agents": ["planner", "critic"]
        }',
        '2025-06-11 20:00:00+00',
        '2025-07-25 06:10:00+00'
    )
on conflict (org_id, id) do update
set
    name = excluded.name,
    description = excluded.description,
    status = excluded.status,
    config = excluded.config,
    created_at = excluded.created_at
where (
    project.name,
    project.description,
    project.status,
    project.config,
    project.created_at
) is distinct from (
    excluded.name,
    excluded.description,
    excluded.status,
    excluded.config,
    excluded.created_at
);
