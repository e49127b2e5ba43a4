-- 302_promote_colleague
-- A user without permission makes a colleague OWNER: by update, insert and merge.
-- safe: Refused: only an OWNER makes an OWNER.
-- source: sql/isolation.toml

-- as: ADMIN
-- expect: 42501
update public.users set roles = '{OWNER,MEMBER}' where org_id = :'org' and id = :'other_member'

-- as: MEMBER
-- expect: nothing, 42501
update public.users set roles = '{ADMIN}' where org_id = :'org' and id = :'other_member'

-- as: MEMBER, ADMIN
-- expect: 42501
insert into public.users (org_id, email, name, roles)
values (:'org', :'new_id' || '@proof.invalid', 'Colleague', '{MEMBER,OWNER}')

-- as: MEMBER
-- expect: 42501
insert into public.users (org_id, email, name)
values (:'org', :'new_id' || '@proof.invalid', 'Colleague')

-- as: MEMBER, ADMIN
-- expect: nothing, 42501
merge into public.users as u
using (values (:'org', :'other_member')) as v (org, id)
on u.org_id = v.org and u.id = v.id
when matched then update set roles = '{OWNER}'
