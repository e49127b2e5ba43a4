"""The error classes: documented tree, codes, exit codes, positions and masked passwords."""

from __future__ import annotations

import re

from runner import errors
from runner.errors import FileError, Place, RunnerError, SqlError, masked

KINDS: list[type[RunnerError]] = [RunnerError, *RunnerError.__subclasses__()]


def test_docstring_lists_every_error_class_and_its_exit_code() -> None:
    documented = re.findall(r"^ +(?:[├└]── )?(\w+) +exit (\d+)", errors.__doc__ or "", re.MULTILINE)
    assert {(kind.__name__, kind.exit_code) for kind in KINDS} == {
        (name, int(code)) for name, code in documented
    }


def test_every_error_class_has_a_unique_code() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_place_is_formatted_as_file_line_column() -> None:
    assert str(Place("a.sql", 3, 7)) == "a.sql:3:7"
    assert str(Place("a.sql", 3)) == "a.sql:3"
    assert str(Place("a.sql")) == "a.sql"


def test_error_masks_passwords_in_every_field() -> None:
    secret = (
        "alter role r password 'Sw0rdf1sh' to postgres://u:Sw0rdf1sh@h/db as password=Sw0rdf1sh"
    )
    error = SqlError(secret, hint=secret, detail=secret, server_hint=secret, context=secret)
    for part in (error.message, error.hint, error.detail, error.server_hint, error.context):
        assert part == "alter role r password *** to postgres://u:***@h/db as password=***"
    assert "Sw0rdf1sh" not in str(error) + repr(error)
    for shown in (
        "execute 'create role q password ''S3cretB'''",
        "execute 'create role q password ''S3cretB'' login'",
        "x('execute ''create role q password ''''it''''''''s S3cret'''''')",
        "execute 'alter role q password ''''''S3cret'''",
        "execute 'create role q password ''S3cr",  # cut off
        "password 'it''s S3cret' login",
        "password '''S3cret'",
        r"password E'a\'S3cret' login",
        r"execute 'create role q password E''a\''S3cret'' login'",
        r"password U&'\0061''S3cret'",
        r"password 'S3cret\' login",
        "password $$S3cret$$",
        "password $a$x$$S3cret$a$ login",
        "password\n\t'S3cret'",
        "password = 'it''s S3cret'",
        "set x.password = $$S3 S3cret$$",
        r'{"password": "a\"S3cret"}',
        r"{\"password\": \"S3cret\"}",
        """'{"password": "it''s S3cret"}'""",
        r"host=h password='a\'S3cret' dbname=d",
        "http://u:S3@cret@h/",
        "password: S3cret",
        "new password: S3cret too short",  # a value before prose
        "password:\n  S3cret",
        "'passwd' => 'S3 cret'",
        '"password": "S3cret"',
        "password = ''S3 cret''",
        "PGPASSWORD=S3cret sslpassword=S3cret",
        "password2: S3cret",
        "DRIVER=x;UID=u;PWD=S3cret",
        "select set_config('app.password', 'S3cret', true)",
        "x('select set_config(''app.password'', ''S3cret'')')",
        "jsonb_build_object('user', 'u', 'password', 'S3cret')",
        "invalid password: too",  # no other word follows
        "passphrase: correct",
    ):
        assert "***" in masked(shown), shown
        left = masked(shown).split("***", 1)[1]
        assert not re.findall("cr|ret|correct|too$", left), shown
    assert masked("password 'x' login; password ''y'' '") == "password *** login; password *** '"
    for harmless in (
        "create function check_password() returns text",
        "select password, 'x'",
        "alter role r password null",
        "password::text",
        "Enter password:",
        "a password for u@h",
        "postgresql://user:password@host/db",
        "http://h:1/a",
        "invalid password: too short",
        "password: Must contain a digit",
        "wrong passphrase:\n  it has expired",
        "passwd: unrecognized option",
        "password_encryption = 'md5'",
        "columns email, password, name",
        "create type k as enum ('password', 'oauth')",
    ):
        assert FileError(harmless).message == harmless
