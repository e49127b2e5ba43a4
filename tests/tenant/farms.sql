-- Farms, with what makes the rows of a tenant hard to take out and put back: circles, people of several
-- tenants, tables that name the tenant only through one of two references, partitions, and every kind of
-- column that is not written as it was read.

create schema farms;
create type farms.kind as enum ('cow', 'hen');
create domain farms.grams as numeric check (value >= 0);

create table farms.breeds (name text primary key, kind farms.kind not null, parent text references farms.breeds);
create table farms.people (
    id uuid primary key,
    nickname text not null,
    mentor uuid references farms.people (id)
);
create table farms.farms (
    id int generated always as identity primary key,
    name text not null,
    best_field bigint,
    founded date
);
create table farms.hands (
    farm_id int not null references farms.farms (id),
    person_id uuid not null references farms.people (id),
    rank text not null default 'hand',
    primary key (farm_id, person_id)
);
create table farms.fields (
    id bigserial primary key,
    farm_id int not null references farms.farms (id),
    outline point[] not null,
    area double precision not null,
    label text generated always as ('field ' || area::int4) stored
);
alter table farms.farms
add constraint best_field foreign key (best_field) references farms.fields (id);
alter table farms.people add column home_farm int references farms.farms (id) on delete set null;

create table farms.animals (
    farm_id int not null references farms.farms (id),
    id int not null,
    breed text not null references farms.breeds (name),
    weight farms.grams,
    notes text,
    photo bytea,
    stay tstzrange,
    tag char(4),
    price money,
    primary key (farm_id, id)
) partition by list (farm_id);
create table farms.animals_1 partition of farms.animals for values in (1);
create table farms.animals_rest partition of farms.animals default;

create table farms.visits (  -- of a field or of a visit before; no column of the farm
    id int generated always as identity primary key,
    field_id bigint references farms.fields (id),
    follows int references farms.visits (id),
    visitor uuid references farms.people (id),
    took interval
);
create table farms.photos (  -- of a field, or of a visit
    field_id bigint references farms.fields (id),
    visit_id int references farms.visits (id),
    title text not null,
    check (num_nonnulls(field_id, visit_id) = 1)
);
create table farms.journal (farm_id int not null references farms.farms (id), entry text not null, at timestamptz not null default now());

create function farms.record() returns trigger language plpgsql as $$
begin
    insert into farms.journal (farm_id, entry)
    values (coalesce(new.farm_id, old.farm_id), tg_op || ' of a field');
    return null;
end
$$;
create trigger record after insert or delete on farms.fields for each row execute function farms.record();
create trigger silent after insert on farms.fields for each row execute function farms.record();
alter table farms.fields disable trigger silent;

insert into farms.breeds values ('auroch', 'cow', null), ('angus', 'cow', 'auroch'), ('leghorn', 'hen', null);
insert into farms.people values
('00000000-0000-4000-8000-000000000001', 'Ana', null),
('00000000-0000-4000-8000-000000000002', 'Bo', '00000000-0000-4000-8000-000000000001'),
('00000000-0000-4000-8000-000000000003', 'Cy', null);
insert into farms.farms (name, founded) values ('Low Farm', '1900-02-28'), ('High Farm', null);
insert into farms.hands values
(1, '00000000-0000-4000-8000-000000000002', 'chief'),
(2, '00000000-0000-4000-8000-000000000002', 'hand'),
(2, '00000000-0000-4000-8000-000000000003', 'chief');
insert into farms.fields (farm_id, outline, area)
select farm, array[point(farm, 0.1)], 1e-7 + farm from unnest('{1,2,1}'::int[]) as farm;
update farms.farms set best_field = id;
update farms.people set home_farm = 2 where nickname = 'Bo';
insert into farms.animals values
(1, 7, 'angus', 650000.50, E'tab\t, new\nline, \\N and "quote" Ünï', '\x00ff5c', '[2020-01-01,)', 'a', '1.50'),
(2, 7, 'leghorn', 1999, null, null, 'empty', null, '-2');
insert into farms.visits (field_id, visitor, took) values
(1, '00000000-0000-4000-8000-000000000003', '1 mon 2 days 03:04:05.6'), (2, null, null);
insert into farms.visits (field_id, follows) values (3, 1);
insert into farms.photos values (1, null, 'gate'), (null, 2, 'barn'), (null, 3, 'pond');
