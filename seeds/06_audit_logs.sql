-- 06_audit_logs
-- Audit logs as the application writes them; rows without an actor are agent runs.
--
-- The database adds its own audit rows (insert, update, delete) for the rows of the other files.
-- The log is append-only, so this file differs from the others: a row edited here is rejected. Add
-- a new row with a new id instead.

insert into public.audit_logs as entry
    (org_id, id, actor_id, action, target_type, target_id, meta, created_at)
values
    -- Skerry Line
    (
        'cskerryline00000000000000', 'cskerryaudit01plan0000000', 'cskerryuser01maren0000000',
        'organization.plan_changed', 'organizations', 'cskerryline00000000000000',
        '{"from": "FREE", "to": "ENTERPRISE", "reason": "forty-one islands"}',
        '2025-01-13 08:20:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit02tidebook000', 'cskerryuser01maren0000000',
        'project.created', 'projects', 'cskerryproj01tidebook0000',
        '{"name": "Tidebook", "from_template": null}',
        '2025-01-21 09:00:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit03isbel000000', 'cskerryuser02tobias000000',
        'user.invited', 'users', 'cskerryuser04isbel0000000',
        '{"roles": ["MEMBER"], "welcome": "Bring a warm coat."}',
        '2025-02-03 08:00:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit04research000', null,
        'agent.run.completed', 'ai_agents', 'cskerryagent01researcher0',
        '{
            "workflow_id": "cskerryflow01g1tidebook00",
            "seconds": 41.7,
            "sources": 18,
            "finding": "People do not want a timetable. They want to be told."
        }',
        '2025-02-13 16:48:12+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit05problem0000', 'cskerryuser01maren0000000',
        'workflow.approved', 'workflows', 'cskerryflow01g1tidebook00',
        '{"gate": "G1", "comment": "I have answered some of those calls."}',
        '2025-02-14 11:20:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit06foghorn0000', 'cskerryuser02tobias000000',
        'workflow.rejected', 'workflows', 'cskerryflow04g1foghorn000',
        '{"gate": "G1", "comment": "My own idea, and a bad one."}',
        '2025-03-03 09:20:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit07archived000', 'cskerryuser02tobias000000',
        'project.archived', 'projects', 'cskerryproj04foghorn00000',
        '{"comment": "With honours."}',
        '2025-03-03 09:25:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit08sheep000000', 'cskerryuser01maren0000000',
        'project.paused', 'projects', 'cskerryproj02parcels00000',
        '{"comment": "Until someone settles the matter of the sheep."}',
        '2025-06-05 16:40:00+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit09estimate000', null,
        'agent.run.failed', 'ai_agents', 'cskerryagent04estimator00',
        '{
            "workflow_id": "cskerryflow01g6tidebook00",
            "seconds": 300.0,
            "error": "timeout",
            "retry": 1
        }',
        '2025-07-30 16:39:02+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit10estimate000', null,
        'agent.run.completed', 'ai_agents', 'cskerryagent04estimator00',
        '{
            "workflow_id": "cskerryflow01g6tidebook00",
            "seconds": 118.3,
            "finding": "Eleven weeks. Fourteen with the mascot."
        }',
        '2025-07-30 16:45:31+00'
    ),
    (
        'cskerryline00000000000000', 'cskerryaudit11submitted00', 'cskerryuser04isbel0000000',
        'workflow.submitted', 'workflows', 'cskerryflow01g7tidebook00',
        '{"gate": "G7", "from": "pending", "to": "in_review"}',
        '2025-09-30 15:10:00+00'
    ),
    -- Odd Loaf
    (
        'coddloaf00000000000000000', 'coddloafaudit01created000', 'coddloafuser01odalys00000',
        'organization.created', 'organizations', 'coddloaf00000000000000000',
        '{"plan": "FREE", "oven": "still warm"}',
        '2025-03-04 04:40:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit02second0000', 'coddloafuser01odalys00000',
        'project.created', 'projects', 'coddloafproj01second00000',
        '{"name": "Second Rise", "from_template": "neighbourhood-shop"}',
        '2025-03-12 05:30:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit03ducks00000', null,
        'agent.run.completed', 'ai_agents', 'coddloafagent01researcher',
        '{
            "workflow_id": "coddloafflow01g1second000",
            "seconds": 16.2,
            "sources": 6,
            "finding": "The ducks are not a market."
        }',
        '2025-03-25 19:02:40+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit04benno00000', 'coddloafuser01odalys00000',
        'user.roles_changed', 'users', 'coddloafuser02benno000000',
        '{"from": ["MEMBER"], "to": ["ADMIN", "MEMBER"], "reason": "He reads the invoices."}',
        '2025-03-31 13:00:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit05moon000000', 'coddloafuser02benno000000',
        'workflow.rejected', 'workflows', 'coddloafflow04g1moon00000',
        '{"gate": "G1", "comment": "At new moon we would be selling an empty bag."}',
        '2025-07-25 06:05:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit06paused0000', 'coddloafuser02benno000000',
        'project.paused', 'projects', 'coddloafproj04moon0000000',
        '{"comment": "It will come round again."}',
        '2025-07-25 06:10:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit07launch0000', 'coddloafuser01odalys00000',
        'workflow.approved', 'workflows', 'coddloafflow01g8second000',
        '{"gate": "G8", "comment": "Ring the bell."}',
        '2025-09-02 16:00:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit08vango00000', 'coddloafuser03wilma000000',
        'workflow.submitted', 'workflows', 'coddloafflow02g4vango0000',
        '{"gate": "G4", "from": "pending", "to": "in_review"}',
        '2025-09-25 12:30:00+00'
    ),
    (
        'coddloaf00000000000000000', 'coddloafaudit09pip0000000', 'coddloafuser02benno000000',
        'user.invited', 'users', 'coddloafuser04pip00000000',
        '{"roles": ["MEMBER"], "starts": "Monday, four in the morning"}',
        '2025-09-26 14:45:00+00'
    )
on conflict (org_id, id) do update
set
    actor_id = excluded.actor_id,
    action = excluded.action,
    target_type = excluded.target_type,
    target_id = excluded.target_id,
    meta = excluded.meta,
    created_at = excluded.created_at
where (
    entry.actor_id,
    entry.action,
    entry.target_type,
    entry.target_id,
    entry.meta,
    entry.created_at
) is distinct from (
    excluded.actor_id,
    excluded.action,
    excluded.target_type,
    excluded.target_id,
    excluded.meta,
    excluded.created_at
);
