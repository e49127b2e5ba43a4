-- Two types whose equality is in no schema of PostgreSQL: `name` compares without regard to case, as citext does,
-- and `path` cannot be compared as text, as ltree cannot.

create schema own;
create type own.name;
create function own.name_in(cstring) returns own.name language internal immutable strict as 'textin';
create function own.name_out(own.name) returns cstring language internal immutable strict as 'textout';
create type own.name (input = own.name_in, output = own.name_out, like = text, category = 'S', collatable = true);
create cast (own.name as text) without function as implicit;
create cast (text as own.name) without function as assignment;

create function own.equal(own.name, own.name) returns bool language sql immutable strict
return lower($1::text) = lower($2::text);
create function own.less(own.name, own.name) returns bool language sql immutable strict
return lower($1::text) < lower($2::text);
create function own.up_to(own.name, own.name) returns bool language sql immutable strict
return lower($1::text) <= lower($2::text);
create function own.from_on(own.name, own.name) returns bool language sql immutable strict
return lower($1::text) >= lower($2::text);
create function own.more(own.name, own.name) returns bool language sql immutable strict
return lower($1::text) > lower($2::text);
create function own.compare(own.name, own.name) returns int language sql immutable strict
return case when own.less($1, $2) then -1 when own.more($1, $2) then 1 else 0 end;
create operator own.= (function = own.equal, leftarg = own.name, rightarg = own.name, commutator = =);
create operator own.< (function = own.less, leftarg = own.name, rightarg = own.name);
create operator own.<= (function = own.up_to, leftarg = own.name, rightarg = own.name);
create operator own.>= (function = own.from_on, leftarg = own.name, rightarg = own.name);
create operator own.> (function = own.more, leftarg = own.name, rightarg = own.name);
create operator class own.name_ops default for type own.name using btree as
operator 1 own.<, operator 2 own.<=, operator 3 own.=, operator 4 own.>=, operator 5 own.>,
function 1 own.compare(own.name, own.name);

create type own.path;
create function own.path_in(cstring) returns own.path language internal immutable strict as 'textin';
create function own.path_out(own.path) returns cstring language internal immutable strict as 'textout';
create type own.path (input = own.path_in, output = own.path_out, like = text);
create function own.same(own.path, own.path) returns bool language internal immutable strict as 'byteaeq';
create operator own.= (function = own.same, leftarg = own.path, rightarg = own.path);

create domain own.short_name as own.name;

create table own.kinds (name own.name primary key);
create table own.shops (id own.name primary key);
create table own.items (id int primary key, shop own.short_name not null references own.shops, kind own.name references own.kinds);
create table own.orders (code own.name primary key, shop own.name not null references own.shops);
create table own.parts (code own.name not null references own.orders, number int primary key);
create table own.labels (shop own.name not null, number int primary key);
insert into own.kinds values ('Book'), ('Cup');
insert into own.shops values ('Acme'), ('Other');
insert into own.items values (1, 'Acme', 'BOOK'), (2, 'ACME', 'book'), (3, 'other', 'Cup');
insert into own.orders values ('One', 'acme'), ('Two', 'AcMe'), ('Three', 'Other');
insert into own.parts values ('one', 1), ('TWO', 2), ('three', 3);
insert into own.labels values ('acme', 1), ('Acme', 2), ('OTHER', 3);
