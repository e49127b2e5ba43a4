"""A folder, a database that is emptied between two cases, and the command line in this process."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from checkout import Checkout, Said

from runner.cli.main import main

EMPTY = """
    do $$
    declare
        name text;
    begin
        for name in select nspname from pg_namespace where nspname !~ '^pg_|^information_schema$'
        loop
            execute format('drop schema %I cascade', name);
        end loop;
    end $$;
    create schema public;
    grant usage on schema public to public;
    """
# Whatever a file can make in a schema, the ledger and what belongs to a table aside.
MADE = """
    with things (schema, name) as (
        select relnamespace, relname from pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f')
        union all select pronamespace, proname from pg_proc
        union all select typnamespace, typname from pg_type where typtype in ('e', 'd', 'r')
        union all select oid, nspname from pg_namespace where nspname <> 'public'
    )
    select distinct things.name
    from things inner join pg_namespace as n on n.oid = things.schema
    where n.nspname !~ '^pg_|^information_schema$|^yoyo$'
    order by things.name
    """


@dataclass
class Desk(Checkout):
    """A checkout whose commands run in this process: fast enough for hundreds of files."""

    def main(self, *words: str) -> Said:
        """Run one command as a person in this folder would."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environ, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words)
        return Said(code, out.getvalue(), err.getvalue())

    def lay(self, name: str, content: str | bytes) -> Path:
        """Write a file as it is, byte for byte."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def clear(self) -> None:
        """Empty the folder and the database."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.do(EMPTY)

    def made(self) -> list[str]:
        """The names of all that the files made."""
        return [name for (name,) in self.rows(MADE)]
