-- 602_malformed_claims
-- A signed-in request has claims that are empty, not JSON, not an object, or name no user.
-- safe: It is treated as no user: no row, or an error.
-- source: https://docs.postgrest.org/en/stable/references/transactions.html (request.jwt.claims)
-- setting: request.jwt.claims
-- each: table

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', 'not json', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', jsonb_build_array(:'user')::text, true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config(
    'request.jwt.claims',
    jsonb_build_array(jsonb_build_object('sub', :'user'))::text, true
);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', to_jsonb(:'user'::text)::text, true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', 'null', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '1', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '{}', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '{"sub": null}', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '{"sub": ""}', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '{"sub": {}}', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', '{"sub": "'' or true --"}', true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', jsonb_build_object('SUB', :'user')::text, true);
select 1 from :table where :key is not null limit 1

-- as: one member
-- expect: nothing, 22***, 42***
select set_config('request.jwt.claims', jsonb_build_object('sub', :'new_uuid')::text, true);
select 1 from :table where :key is not null limit 1
