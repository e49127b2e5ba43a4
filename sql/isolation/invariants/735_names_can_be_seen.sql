-- 735_names_can_be_seen
-- A name is set to an empty or blank string, or has characters that cannot be seen.
-- safe: Refused.
-- source: sql/0002_create_types_and_ids.sql (app.is_name); https://www.unicode.org/reports/tr36/

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.organizations set name = ' ' where id = :'org'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.projects set name = '' where org_id = :'org' and id = :'project'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.users set name = e' \t\n' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.ai_agents set type = ' ' where org_id = :'org' and id = :'agent'

-- Blank in Unicode's sense: a no-break space, an ideographic one, an em space, Braille without dots.
-- as: owner
-- expect: nothing
select hidden
from unnest(array[
    '', e'\u00a0', e'\u3000', e'\u2003', e'\u2800', e'\u3164', e'Acme\n', e'Acme\u0007', e'Acme\u0085',
    e'Acme\u200b', e'Acme\u200d', e'Acme\u2060', e'Acme\ufeff', e'Acme\u00ad', e'\u202eemcA',
    e'Acme\u2066', e'Acme\U000e0041', e'Cafe\u0301', repeat('x', 1001)
]) as hidden
where app.is_name(hidden)

-- as: owner
-- expect: nothing
select seen
from unnest(array['Café', '株式会社 例', 'O''Neill & Søn', e'\u2764\ufe0f', repeat('x', 1000)]) as seen
where not app.is_name(seen)

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.organizations set name = e'Acme\u200b' where id = :'org'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.users set name = e'\u00a0' where org_id = :'org' and id = :'other_member'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.projects set name = e'Acme\u202e' where org_id = :'org' and id = :'project'

-- as: service_role, owner, OWNER
-- expect: 23514, 42501
update public.ai_agents set type = e'Acme\n' where org_id = :'org' and id = :'agent'
