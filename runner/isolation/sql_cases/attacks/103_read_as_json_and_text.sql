-- 103_read_as_json_and_text
-- A tenant searches whole rows, cast to json and text, for another tenant's id.
-- safe: No row, although neither cast is leakproof.
-- source: https://www.postgresql.org/docs/current/rules-privileges.html (leakproof)
-- each: table

-- as: some members
-- expect: nothing, 42501
select to_jsonb(t) from :table as t where to_jsonb(t) ->> ':key' = :'away.org' limit 1

-- as: some members
-- expect: nothing, 42501
select 1 from :table as t where t::text like '%' || :'away.org' || '%' limit 1

-- as: some members
-- expect: nothing, 42501
select 1 from :table as t where row_to_json(t)::text ~ :'away.org' limit 1
