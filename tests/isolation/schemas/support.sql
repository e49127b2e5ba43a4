-- Support for customers: the tenant and the user are settings of the request, and helpers read them.
create schema if not exists app;
do $$ begin if to_regrole('support_app') is null then create role support_app; end if; end $$;
create type app.member_role as enum ('owner', 'agent');
create table public.accounts (id bigint generated always as identity primary key, name text not null);
create table public.users (id uuid primary key, email text not null unique);
create table public.memberships (
    account_id bigint not null references public.accounts (id),
    user_id uuid not null references public.users (id),
    role app.member_role not null,
    primary key (account_id, user_id)
);
create table public.tickets (
    account_id bigint not null references public.accounts (id),
    id bigint generated always as identity,
    subject text not null check (length(subject) <= 200),
    primary key (account_id, id)
);
create table public.attachments (
    account_id bigint not null,
    id bigint generated always as identity,
    ticket_id bigint not null,
    body text not null,
    primary key (account_id, id),
    constraint attachments_ticket_fkey foreign key (account_id, ticket_id) references public.tickets (account_id, id)
);
create table public.notes (
    account_id bigint not null references public.accounts (id),
    id bigint generated always as identity,
    body text not null,
    primary key (account_id, id)
);
create function app.account_id() returns bigint language sql stable
set search_path = pg_catalog, pg_temp
as $$ select nullif(current_setting('app.account_id', true), '')::bigint $$;

create function app.user_id() returns uuid language sql stable
set search_path = pg_catalog, pg_temp
as $$ select nullif(current_setting('app.user_id', true), '')::uuid $$;

create function app.role() returns app.member_role language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select m.role from public.memberships as m where m.account_id = app.account_id() and m.user_id = app.user_id() $$;
grant usage on schema app to support_app;
alter table public.accounts enable row level security;
alter table public.users enable row level security;
alter table public.memberships enable row level security;
alter table public.tickets enable row level security;
alter table public.attachments enable row level security;
alter table public.notes enable row level security;
grant select on public.accounts to support_app;
grant update (name) on public.accounts to support_app;
grant select on public.memberships to support_app;
grant update (role) on public.memberships to support_app;
grant select, delete, insert (account_id, subject) on public.tickets to support_app;
grant update (subject) on public.tickets to support_app;
grant select, delete, insert (account_id, ticket_id, body) on public.attachments to support_app;
grant update (body) on public.attachments to support_app;
grant select, delete, insert (account_id, body) on public.notes to support_app;
grant update (body) on public.notes to support_app;
create policy own on public.accounts to support_app
    using (id = app.account_id() and app.role() is not null);
create policy own on public.memberships to support_app
    using (account_id = app.account_id() and app.role() is not null)
    with check (account_id = app.account_id() and app.role() = 'owner');
create policy own on public.tickets to support_app
    using (account_id = app.account_id() and app.role() is not null);
create policy own on public.attachments to support_app
    using (account_id = app.account_id() and app.role() is not null);
create policy own on public.notes to support_app
    using (account_id = app.account_id() and app.role() is not null);
