"""Changes that open nothing raise no breach once they are declared: see harmless.sql."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from checkout import Checkout
from conftest import SQL_DIR, Database, one_server

from runner.isolation import project, proof

FILE = Path(__file__).with_name("harmless.sql")


@dataclass(frozen=True)
class Change:
    """A harmless change, and the lines of isolation.toml that declare it, by section."""

    name: str
    sql: str

    def declare(self, toml: str) -> str:
        """Return isolation.toml with each line in its section: a list is added to, a right set."""
        for section, key, given in re.findall(
            r"^-- declared: \[(.+)\] (\w+) = (.+)$", self.sql, re.M
        ):
            before, head, body = toml.partition(f"\n[{section}]\n")
            mine, sep, after = body.partition("\n[")
            line = re.search(rf"^{key} = (.*)$", mine, re.M)
            adds = line is not None and key == "shared"
            value = f"{line[1][:-1]}, {given[1:]}" if line and adds else given
            rest = mine.replace(line[0], "") if line else mine
            head = head or f"\n[{section}]\n"
            toml = f"{before}{head}{key} = {value}\n{rest}{sep}{after}"
        return toml


def changes() -> list[Change]:
    parts = re.split(r"^-- harmless: ", FILE.read_text(encoding="utf-8"), flags=re.M)[1:]
    return [Change(*part.split("\n", 1)) for part in parts]


def alarms(database: Database, sql_dir: Path, change: Change) -> list[str]:
    """Return the breaches after one change, in a transaction that is rolled back."""
    toml = sql_dir / "isolation.toml"
    before = toml.read_text(encoding="utf-8")
    toml.write_text(change.declare(before), encoding="utf-8")
    try:
        with database.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(change.sql.encode())
            found = proof.prove(connection, project.load(sql_dir)).breaches
    finally:
        toml.write_text(before, encoding="utf-8")
    return [f"{change.name}: {breach.proof} | {breach.summary}" for breach in found]


@one_server
def test_harmless_changes_raise_no_breach_once_declared(
    database: Database, empty_database: Database, tmp_path: Path
) -> None:
    """All of them as one migration; if that fails, each alone says which."""
    shutil.copytree(SQL_DIR, sql_dir := tmp_path / "sql")
    toml = sql_dir / "isolation.toml"
    before = toml.read_text(encoding="utf-8")
    sql = "-- 0999_harmless\n-- Change what opens nothing.\n\n"
    together = Change("all", sql + "".join(each.sql for each in changes()))
    (sql_dir / "0999_harmless.sql").write_text(together.sql, encoding="utf-8")
    toml.write_text(together.declare(before), encoding="utf-8")
    checkout = Checkout(tmp_path, empty_database)
    for command in ("apply", "verify --accept"):
        done = checkout.runner(*command.split())
        assert done.code == 0, done.err
    verified = checkout.runner("verify", "--json")
    if verified.code == 4:
        toml.write_text(before, encoding="utf-8")
        alone = [alarm for each in changes() for alarm in alarms(database, sql_dir, each)]
        together_only = [f"{b['proof']} | {b['summary']}" for b in verified.document["breaches"]]
        raise AssertionError("\n".join(alone or together_only))
    assert verified.code == 0, verified.err
