-- Evaluates a condition. An error, such as in a cast, gives false and does not abort the
-- transaction. Exists in this session only.

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
