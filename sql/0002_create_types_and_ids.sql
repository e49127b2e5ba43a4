-- 0002_create_types_and_ids
-- Create the enum types, the id generator and the check of names.
-- depends: 0001_create_auth_and_roles

do $$
begin
    if to_regtype('public.billing_plan') is null then
        create type public.billing_plan as enum (
            'FREE',        -- trial
            'PRO',         -- paid by card
            'ENTERPRISE'   -- paid by contract
        );
    end if;
end
$$;
comment on type public.billing_plan is
    'The billing plan of an organization. Its limits are in organizations.limits.';

do $$
begin
    if to_regtype('public.user_role') is null then
        create type public.user_role as enum (
            'OWNER',   -- responsible for the organization; at least one per organization
            'ADMIN',   -- manages users, projects, agents and approvals
            'MEMBER'   -- works on projects
        );
    end if;
end
$$;
comment on type public.user_role is
    'The roles of a user in their organization. Not ordered: never compare with < or >.';

do $$
begin
    if to_regtype('public.workflow_gate') is null then
        create type public.workflow_gate as enum (
            'G0',   -- first gate of a blueprint
            'G1',
            'G2',
            'G3',
            'G4',
            'G5',
            'G6',
            'G7',
            'G8'    -- last gate
        );
    end if;
end
$$;
comment on type public.workflow_gate is
    'The gates that a product blueprint passes, in order.';

create or replace function app.new_id()
returns text
language plpgsql
volatile
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    -- The letter c, the time in seconds as eight hex digits, then sixteen random characters. Base64
    -- folded to [a-z0-9] keeps five bits per character, eighty in total. Characters 9 to 11 are cut
    -- out first, because they contain the fixed bits of the UUID.
    return 'c'
        || to_hex(date_part('epoch', clock_timestamp())::bigint)
        || left(
            overlay(
                translate(
                    lower(encode(uuid_send(gen_random_uuid()), 'base64') collate "C"), '+/', '01'
                )
                placing '' from 9 for 3
            ),
            16
        );
end
$$;
comment on function app.new_id() is
    'A new cuid: c and 24 of [a-z0-9], ordered by time in seconds, with 80 random bits.';
revoke all on function app.new_id() from public;
grant execute on function app.new_id() to authenticated, service_role;

-- For people, a name is what they see: no control characters, none that have no width or change the
-- direction, more than blanks, and one form of each letter. \s depends on the locale, so blanks of
-- Unicode are listed. Not in SQL: a check would inline it again for each statement, which takes
-- longer than the check.
create or replace function app.is_name(value text)
returns boolean
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return octet_length(value) <= 1000
        and value is nfc normalized
        and value ~ '[^\s\u0085\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]'
        and value !~ (
            '[\u0001-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f'
            '\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb'
            '\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]'
        );
end
$$;
comment on function app.is_name(text) is
    'Whether a text can be a name: up to 1,000 bytes in Unicode''s form C, not blank, without '
    'control, zero-width or direction characters.';
revoke all on function app.is_name(text) from public;
grant execute on function app.is_name(text) to authenticated, service_role;
