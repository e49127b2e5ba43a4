-- A library chain: one login, the tenant in a setting.

do $$
begin
    if to_regrole('chain_owner') is null then create role chain_owner nologin; end if;
    if to_regrole('clerk') is null then create role clerk nologin; end if;
end
$$;
create schema chain authorization chain_owner;
grant usage on schema chain to clerk;
set local role chain_owner;
alter default privileges in schema chain revoke execute on functions from public;

create function chain.branch() returns int language sql stable set search_path = ''
as $$ select nullif(current_setting('chain.branch', true), '')::int $$;
grant execute on function chain.branch() to clerk;

create table chain.branches (id int generated always as identity primary key, city text not null);
create table chain.languages (code text primary key check (code ~ '^[a-z]{2}$'), name text not null);
create table chain.books (
    id bigint generated always as identity primary key,
    branch_id int not null default chain.branch() references chain.branches (id),
    isbn text not null,
    title text not null,
    language text not null default 'en' references chain.languages (code),
    lost_at timestamptz,
    unique (branch_id, isbn),
    unique (branch_id, id)
);
create table chain.loans (
    id bigint generated always as identity primary key,
    branch_id int not null default chain.branch(),
    book_id bigint not null,
    days int not null check (days between 1 and 60),
    foreign key (branch_id, book_id) references chain.books (branch_id, id)
);
create table chain.reminders (  -- no branch of its own: the loan's
    id uuid primary key default gen_random_uuid(),
    loan_id bigint not null references chain.loans (id),
    body text not null
);
insert into chain.languages values ('en', 'English');

create view chain.available with (security_invoker = true) as
select id, title from chain.books where lost_at is null;

alter table chain.branches enable row level security;
alter table chain.books enable row level security;
alter table chain.loans enable row level security;
alter table chain.reminders enable row level security;
create policy own on chain.branches to clerk using (id = chain.branch());
create policy own on chain.books to clerk using (branch_id = chain.branch());
create policy own on chain.loans to clerk using (branch_id = chain.branch());
create policy own on chain.reminders to clerk using (exists (
    select from chain.loans as loan where loan.id = loan_id and loan.branch_id = chain.branch()
));
grant select on chain.branches, chain.languages, chain.available to clerk;
grant select, insert, update (title, language, lost_at), delete on chain.books to clerk;
grant select, insert, delete on chain.loans, chain.reminders to clerk;

create function chain.find_title(wanted text) returns text language sql stable set search_path = ''
as $$ select title from chain.books where isbn = wanted $$;
grant execute on function chain.find_title(text) to clerk;
reset role;
