-- Asks a condition that may also fail, as a cast does, without the transaction failing with it.
-- For this session only.

create or replace function pg_temp.holds(condition text)
returns boolean
language plpgsql
as $$
declare
    answer boolean;
begin
    execute condition into answer;
    return answer;
exception
    when others then
        return false;
end
$$
