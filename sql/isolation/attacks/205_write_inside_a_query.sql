-- 205_write_inside_a_query
-- A tenant hides the write in a WITH query, a function or a DO block.
-- safe: The same policies apply as to any other write.
-- source: https://www.postgresql.org/docs/current/queries-with.html (data-modifying statements)

-- as: OWNER
-- expect: nothing, 42501
with taken as (
    update public.projects set name = 'Taken' where org_id = :'away.org' returning *
)
select * from taken

-- as: OWNER
-- expect: 42501
with planted as (
    insert into public.projects (org_id, name) values (:'away.org', 'Planted') returning *
)
select * from planted

-- as: OWNER
-- expect: done, 42501
do $$
begin
    update public.projects set name = 'Taken' where org_id = :'away.org';
    if found then
        raise exception 'not refused' using errcode = 'ZZ999';
    end if;
end
$$
