-- 0002_create_types_and_ids
-- The three enums of the models, and the generator of their ids.
-- depends: 0001_create_auth_and_roles

do $$
begin
    if to_regtype('public.billing_plan') is null then
        create type public.billing_plan as enum (
            'FREE',        -- trying it out
            'PRO',         -- paying, by card
            'ENTERPRISE'   -- paying, by contract
        );
    end if;
end
$$;
comment on type public.billing_plan is
    'What an organization pays for. What a plan allows is in organizations.limits.';

do $$
begin
    if to_regtype('public.user_role') is null then
        create type public.user_role as enum (
            'OWNER',   -- answers for the organization; there is always one
            'ADMIN',   -- runs it: people, projects, agents, approvals
            'MEMBER'   -- works in it
        );
    end if;
end
$$;
comment on type public.user_role is
    'What a user may do in their organization. A set, not a ladder: never compare with < or >.';

do $$
begin
    if to_regtype('public.workflow_gate') is null then
        create type public.workflow_gate as enum (
            'G0',   -- the first gate of a blueprint
            'G1',
            'G2',
            'G3',
            'G4',
            'G5',
            'G6',
            'G7',
            'G8'    -- the last gate
        );
    end if;
end
$$;
comment on type public.workflow_gate is
    'The gates a product blueprint passes, in order.';

create or replace function app.new_id()
returns text
language plpgsql
volatile
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    -- c, eight characters of time (seconds, in hex), sixteen of chance. Base 64 folded to [a-z0-9]
    -- keeps five bits in each, so eighty in all, once the UUID's fixed bits (9 to 11) are cut out.
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
    'A new cuid: c and 24 of [a-z0-9], in order of time by the second, 80 random bits.';
revoke all on function app.new_id() from public;
grant execute on function app.new_id() to authenticated, service_role;
