-- 04_workflows
-- Workflows of the projects: the status at each gate, and who approved it.
--
-- An approved workflow cannot change, so one that was edited here takes two statements: un-approve
-- it, then upsert it. Otherwise this file works like the other ones.

do $$
declare
    seed record;
begin
    for seed in
        with page (org_id, id, project_id, gate, status, approver_id, approved_at, metadata) as (
            values
            -- Tidebook: approved up to G6, in review at G7.
            (
                'cskerryline00000000000000', 'cskerryflow01g0tidebook00',
                'cskerryproj01tidebook0000', 'G0',
                'approved', 'cskerryuser01maren0000000', '2025-01-24 15:00:00+00',
                '{
                    "title": "Tell an island at six whether the boat is coming",
                    "confidence": 0.71,
                    "raised_by": "Dag"
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g1tidebook00',
                'cskerryproj01tidebook0000', 'G1',
                'approved', 'cskerryuser01maren0000000', '2025-02-14 11:20:00+00',
                '{
                    "title": "No one trusts the timetable, so everyone phones the harbour",
                    "confidence": 0.88,
                    "evidence": {"calls_logged": 1904, "calls_answered_with_a_shrug": 611}
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g2tidebook00',
                'cskerryproj01tidebook0000', 'G2',
                'approved', 'cskerryuser02tobias000000', '2025-03-07 09:45:00+00',
                '{"title": "Islanders, schools, and the vet", "confidence": 0.84, "interviews": 23}'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g3tidebook00',
                'cskerryproj01tidebook0000', 'G3',
                'approved', 'cskerryuser01maren0000000', '2025-03-28 14:10:00+00',
                '{
                    "title": "One page, three colours: going, thinking about it, not today",
                    "confidence": 0.79,
                    "options_considered": 4
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g4tidebook00',
                'cskerryproj01tidebook0000', 'G4',
                'approved', 'cskerryuser02tobias000000', '2025-04-25 08:30:00+00',
                '{
                    "title": "Nine ferries, forty-one piers, no loyalty programme",
                    "confidence": 0.86,
                    "left_out": ["loyalty points", "a mascot"]
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g5tidebook00',
                'cskerryproj01tidebook0000', 'G5',
                'approved', 'cskerryuser02tobias000000', '2025-06-06 13:00:00+00',
                '{
                    "title": "Tide tables in, one small promise out",
                    "confidence": 0.81,
                    "components": ["tide feed", "wind feed", "skipper''s word", "notice board"]
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g6tidebook00',
                'cskerryproj01tidebook0000', 'G6',
                'approved', 'cskerryuser01maren0000000', '2025-08-01 10:00:00+00',
                '{
                    "title": "Fourteen weeks, or eleven without the mascot",
                    "confidence": 0.74,
                    "estimate": {"weeks": [11, 14, 19], "eur": [168000, 214000, 290000]}
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g7tidebook00',
                'cskerryproj01tidebook0000', 'G7',
                'in_review', null, null,
                '{
                    "title": "The blueprint, read aloud to two skippers",
                    "confidence": 0.77,
                    "waiting_for": "the skipper who was at sea"
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow01g8tidebook00',
                'cskerryproj01tidebook0000', 'G8',
                'pending', null, null,
                '{
                    "title": "Launch on three islands, gently",
                    "planned_for": "after the autumn storms"
                }'
            ),
            -- Parcel Cousins: rejected at G2.
            (
                'cskerryline00000000000000', 'cskerryflow02g0parcels000',
                'cskerryproj02parcels00000', 'G0',
                'approved', 'cskerryuser02tobias000000', '2025-03-21 12:00:00+00',
                '{
                    "title": "Your parcel goes with anyone crossing anyway",
                    "confidence": 0.66,
                    "raised_by": "Isbel"
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow02g1parcels000',
                'cskerryproj02parcels00000', 'G1',
                'approved', 'cskerryuser01maren0000000', '2025-04-11 09:15:00+00',
                '{
                    "title": "The freight boat is weekly; birthdays are not",
                    "confidence": 0.83,
                    "evidence": {"late_birthdays": 57}
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow02g2parcels000',
                'cskerryproj02parcels00000', 'G2',
                'rejected', null, null,
                '{
                    "title": "Shopkeepers, grandmothers, livestock",
                    "confidence": 0.38,
                    "reason": "The plan assumes that sheep queue. Dag has met sheep."
                }'
            ),
            -- Quiet Crossing: in review at G0. Foghorn: rejected at G1.
            (
                'cskerryline00000000000000', 'cskerryflow03g0quiet00000',
                'cskerryproj03quiet0000000', 'G0',
                'in_review', null, null,
                '{
                    "title": "A ferry that whispers",
                    "confidence": 0.58,
                    "waiting_for": "a word from the power company"
                }'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow04g0foghorn000',
                'cskerryproj04foghorn00000', 'G0',
                'approved', 'cskerryuser02tobias000000', '2025-02-12 10:00:00+00',
                '{"title": "Tell people about fog", "confidence": 0.52, "raised_by": "Tobias"}'
            ),
            (
                'cskerryline00000000000000', 'cskerryflow04g1foghorn000',
                'cskerryproj04foghorn00000', 'G1',
                'rejected', null, null,
                '{
                    "title": "People may not notice fog",
                    "confidence": 0.12,
                    "reason": "Nineteen of twenty had noticed. The twentieth was asleep."
                }'
            ),
            -- Second Rise: approved at all gates, G0 to G8.
            (
                'coddloaf00000000000000000', 'coddloafflow01g0second000',
                'coddloafproj01second00000', 'G0',
                'approved', 'coddloafuser01odalys00000', '2025-03-12 18:00:00+00',
                '{
                    "title": "Yesterday''s bread deserves a second evening",
                    "confidence": 0.73,
                    "raised_by": "Wilma"
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g1second000',
                'coddloafproj01second00000', 'G1',
                'approved', 'coddloafuser01odalys00000', '2025-03-26 18:30:00+00',
                '{
                    "title": "Nineteen loaves a day go to the ducks, who are getting choosy",
                    "confidence": 0.91,
                    "evidence": {"loaves_unsold_per_day": 19, "ducks": 34}
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g2second000',
                'coddloafproj01second00000', 'G2',
                'approved', 'coddloafuser02benno000000', '2025-04-09 05:45:00+00',
                '{
                    "title": "Neighbours who finish work at four",
                    "confidence": 0.82,
                    "interviews": 11
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g3second000',
                'coddloafproj01second00000', 'G3',
                'approved', 'coddloafuser01odalys00000', '2025-04-23 18:00:00+00',
                '{
                    "title": "A chalkboard that happens to be on your phone",
                    "confidence": 0.8,
                    "options_considered": 3
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g4second000',
                'coddloafproj01second00000', 'G4',
                'approved', 'coddloafuser02benno000000', '2025-05-07 06:00:00+00',
                '{
                    "title": "One shop, one hour, cash or card",
                    "confidence": 0.9,
                    "left_out": ["delivery", "loaf names", "loaf horoscopes"]
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g5second000',
                'coddloafproj01second00000', 'G5',
                'approved', 'coddloafuser01odalys00000', '2025-05-28 18:15:00+00',
                '{
                    "title": "A list, a till and a bell",
                    "confidence": 0.87,
                    "components": ["list", "till", "bell"]
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g6second000',
                'coddloafproj01second00000', 'G6',
                'approved', 'coddloafuser02benno000000', '2025-06-18 05:30:00+00',
                '{
                    "title": "Six weekends and one new bell",
                    "confidence": 0.78,
                    "estimate": {"weekends": [4, 6, 9], "eur": [900, 1500, 2100]}
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g7second000',
                'coddloafproj01second00000', 'G7',
                'approved', 'coddloafuser01odalys00000', '2025-08-13 18:00:00+00',
                '{
                    "title": "The blueprint, dusted with flour and signed",
                    "confidence": 0.89,
                    "pages": 7
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow01g8second000',
                'coddloafproj01second00000', 'G8',
                'approved', 'coddloafuser01odalys00000', '2025-09-02 16:00:00+00',
                '{
                    "title": "Launched at four o''clock; sold out at four twenty",
                    "confidence": 0.97,
                    "first_day": {"loaves": 19, "minutes": 20, "ducks_disappointed": 34}
                }'
            ),
            -- Van Go: in review at G4. Starter Sitter: pending at G0.
            -- Loaf of the Moon: rejected at G1.
            (
                'coddloaf00000000000000000', 'coddloafflow02g0vango0000',
                'coddloafproj02vango000000', 'G0',
                'approved', 'coddloafuser02benno000000', '2025-05-09 05:40:00+00',
                '{
                    "title": "Warm bread, and Wilma home by daylight",
                    "confidence": 0.76,
                    "raised_by": "Wilma"
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow02g1vango0000',
                'coddloafproj02vango000000', 'G1',
                'approved', 'coddloafuser02benno000000', '2025-06-03 06:10:00+00',
                '{
                    "title": "The round is in the order the customers signed up",
                    "confidence": 0.93,
                    "evidence": {"km_per_day": 61, "km_as_the_crow_flies": 17}
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow02g2vango0000',
                'coddloafproj02vango000000', 'G2',
                'approved', 'coddloafuser01odalys00000', '2025-07-08 18:20:00+00',
                '{
                    "title": "Fourteen cafes and one lighthouse",
                    "confidence": 0.85,
                    "interviews": 9
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow02g3vango0000',
                'coddloafproj02vango000000', 'G3',
                'approved', 'coddloafuser01odalys00000', '2025-08-26 18:00:00+00',
                '{
                    "title": "A round that starts where the oven stops",
                    "confidence": 0.81,
                    "options_considered": 5
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow02g4vango0000',
                'coddloafproj02vango000000', 'G4',
                'in_review', null, null,
                '{
                    "title": "No left turns before seven",
                    "confidence": 0.69,
                    "waiting_for": "Wilma, who is driving"
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow03g0sitter000',
                'coddloafproj03sitter00000', 'G0',
                'pending', null, null,
                '{"title": "Feed my sourdough while I am away", "raised_by": "Pip"}'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow04g0moon00000',
                'coddloafproj04moon0000000', 'G0',
                'approved', 'coddloafuser01odalys00000', '2025-06-13 21:00:00+00',
                '{
                    "title": "A loaf for every phase of the moon",
                    "confidence": 0.61,
                    "raised_by": "Odalys"
                }'
            ),
            (
                'coddloaf00000000000000000', 'coddloafflow04g1moon00000',
                'coddloafproj04moon0000000', 'G1',
                'rejected', null, null,
                '{
                    "title": "People want less bread at new moon",
                    "confidence": 0.24,
                    "reason": "They want the same bread. They want it cheaper. Benno did the sums."
                }'
            )
        )
        select *
        from page
    loop
        update public.workflows as workflow
        set
            status = 'in_review',
            approver_id = null,
            approved_at = null
        where workflow.org_id = seed.org_id
            and workflow.id = seed.id
            and workflow.status = 'approved'
            and (
                workflow.project_id,
                workflow.gate,
                workflow.metadata
            ) is distinct from (
                seed.project_id,
                seed.gate::public.workflow_gate,
                seed.metadata::jsonb
            );

        insert into public.workflows as workflow
            (org_id, id, project_id, gate, status, approver_id, approved_at, metadata)
        values (
            seed.org_id,
            seed.id,
            seed.project_id,
            seed.gate::public.workflow_gate,
            seed.status,
            seed.approver_id,
            seed.approved_at::timestamptz,
            seed.metadata::jsonb
        )
        on conflict (org_id, id) do update
        set
            project_id = excluded.project_id,
            gate = excluded.gate,
            status = excluded.status,
            approver_id = excluded.approver_id,
            approved_at = excluded.approved_at,
            metadata = excluded.metadata
        where (
            workflow.project_id,
            workflow.gate,
            workflow.status,
            workflow.approver_id,
            workflow.approved_at,
            workflow.metadata
        ) is distinct from (
            excluded.project_id,
            excluded.gate,
            excluded.status,
            excluded.approver_id,
            excluded.approved_at,
            excluded.metadata
        );
    end loop;
end
$$;
