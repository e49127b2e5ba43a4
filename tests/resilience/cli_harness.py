"""Run the command line in this process, in a folder and a database that can be emptied."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from checkout import Checkout, Result

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
# Everything that a file can create, except the migration tables and what belongs to a table.
CREATED = """
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
class CliHarness(Checkout):
    """A checkout whose commands run in this process: fast enough for hundreds of files."""

    def main(self, *arguments: str) -> Result:
        """Run one command in this folder, with this environment only."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environ, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(arguments)
        return Result(code, out.getvalue(), err.getvalue())

    def write_raw(self, name: str, content: str | bytes) -> Path:
        """Write a file byte for byte; `file` removes common indentation."""
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

    def created(self) -> list[str]:
        """Return the names of all objects that the files created."""
        return [name for (name,) in self.rows(CREATED)]
