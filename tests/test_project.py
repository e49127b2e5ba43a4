"""The house is as README draws it: rooms, arrows, commands, tables; and every linter is content."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.cli import main
from runner.isolation.matrix import permissions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# From the ground up: each room may import only rooms above it in this list.
ROOMS = [
    "errors",
    "events",
    "interrupts",
    "statements",
    "script",
    "migrations",
    "plan",
    "settings",
    "queries",
    "embedded",
    "database",
    "catalog",
    "difference",
    "reach",
    "pooler",
    "diagnosis",
    "busy",
    "indexes",
    "execution",
    "outside",
    "records",
    "fingerprint",
    "lock",
    "runlog",
    "account",
    "run",
    "ledger",
    "session",
    "seeds",
    "byhand",
    "scratch",
    "duplicate",
    "edits",
    "rehearsed",
    "rehearsal",
    "rowtypes",
    "diagram",
    "proofs",
    "studio",
    "console",
    "commands",
    "flags",
    "cli",
    "yoyo_backend",
]
# Who alone may know what: a module, and the rooms that may import it.
ALONE = {
    "yoyo": {"yoyo_backend"},
    "tabulate": {"console"},
    "pygraphviz": {"diagram"},
    "dotenv": {"settings"},
    "starlette": {"studio"},
    "uvicorn": {"studio"},
    "jinja2": {"studio"},
    "argparse": {"cli", "flags", "commands"},
    "psycopg": {
        *("database", "reach", "pooler", "diagnosis", "busy", "execution", "records", "lock"),
        *("fingerprint", "seeds", "scratch", "indexes", "outside"),
        *("duplicate", "rehearsal", "studio"),
        *("proofs", "embedded", "commands", "yoyo_backend"),
    },
}


def _modules() -> list[tuple[str, Path]]:
    """Every module of runner/ with the room it belongs to: its file, or its package."""
    files = sorted((ROOT / "runner").rglob("*.py"))
    paths = [(file, file.relative_to(ROOT / "runner")) for file in files]
    named = [(path.parts[0].removesuffix(".py"), file) for file, path in paths]
    return [(room, file) for room, file in named if not room.startswith("__")]


def _imports(file: Path) -> set[str]:
    """Return the dotted names of all that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _caption(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0] if text else ""


def rooms() -> str:
    """Return the list of rooms as README prints it."""
    lines = []
    for room in ROOMS:
        file = ROOT / "runner" / f"{room}.py"
        name = f"{room}.py" if file.exists() else f"{room}/"
        caption = _caption(file if file.exists() else ROOT / "runner" / room / "__init__.py")
        lines.append(f"{name:<16} {caption}")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Return the table of commands as README prints it."""
    return "".join(f"| `{name}` | {line} |\n" for name, (line, *_) in main.COMMANDS.items())


@pytest.mark.parametrize(
    ("room", "file"), _modules(), ids=lambda value: value if isinstance(value, str) else value.stem
)
def test_a_room_imports_only_rooms_above_it(room: str, file: Path) -> None:
    imported = {name.split(".")[1] for name in _imports(file) if name.startswith("runner.")}
    above = {*ROOMS[: ROOMS.index(room)], room, "__version__"}
    assert imported <= above, f"{room} imports {sorted(imported - above)}"


@pytest.mark.parametrize("module", ALONE)
def test_a_module_is_known_to_few_rooms(module: str) -> None:
    users = {
        room
        for room, file in _modules()
        if any(name.split(".")[0] == module for name in _imports(file))
    }
    assert users and users <= ALONE[module]


def test_only_settings_reads_the_environment_and_only_the_console_prints() -> None:
    for room, file in _modules():
        text = file.read_text(encoding="utf-8")
        assert room == "settings" or not re.search(r"\bos\.(environ|getenv)\b", text), file
        assert room == "console" or not re.search(r"^\s*print\(", text, re.MULTILINE), file


def test_every_room_is_in_the_picture_and_says_what_it_is_for() -> None:
    assert {room for room, _ in _modules()} == set(ROOMS)
    assert all(_caption(file) for _, file in _modules())
    assert rooms() in README


def test_no_room_is_a_hall() -> None:
    longest = {
        file.name: len(file.read_text(encoding="utf-8").splitlines()) for _, file in _modules()
    }
    assert not {name for name, lines in longest.items() if lines > 300}, longest


def test_readme_lists_the_commands_there_are() -> None:
    assert commands() in README


def test_readme_prints_the_permission_table() -> None:
    assert permissions.markdown() in README


def test_readme_names_tests_that_exist() -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`(test_\w+)`", README)
    assert len(named) > 8
    assert not [name for name in named if f"def {name}(" not in tests]


def test_readme_lists_every_page_of_sql_in_order() -> None:
    pages = [f.stem for f in sorted((ROOT / "sql").glob("*.sql")) if ".rollback" not in f.name]
    assert re.findall(r"^\| `(\d{4}_\w+)` \|", README, re.MULTILINE) == pages


@pytest.mark.parametrize("section", ["Run it", "Test it"])
def test_a_section_of_readme_begins_with_one_command(section: str) -> None:
    text = README.split(f"\n## {section}\n", 1)[1]
    block = re.match(r"\s*```sh\n(.*?)```", text, re.DOTALL)
    assert block
    assert len(block[1].strip().splitlines()) == 1


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A folder that root's server can reach too, which it cannot below pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_command_of_readme_makes_a_seeded_database(checkout: Path) -> None:
    """What "Run it" does once it has installed; sql/ and seeds/ are the real ones."""
    command = README.split("\n## Run it\n", 1)[1].split("```")[1]
    assert command.rstrip().endswith("&& .venv/bin/python -m runner up")
    for folder in ("sql", "seeds"):
        (checkout / folder).symlink_to(ROOT / folder)
    try:
        ran = _runner(checkout, "up")
        assert ran.returncode == 0, ran.stderr
        assert "9 applied now, 9 in all, 0 pending" in ran.stdout
        assert "python -m runner status" in ran.stderr
        assert _runner(checkout, "status").returncode == 0
        again = _runner(checkout, "up")
        assert "no rows changed" in again.stdout
    finally:
        assert _runner(checkout, "down").returncode == 0


def test_env_example_explains_each_variable_of_the_brief() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    for name in ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE"):
        number = next(i for i, line in enumerate(lines) if line.lstrip("#").startswith(f"{name}="))
        assert lines[number - 1].startswith("#"), name


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("squawk", "sql/*.sql"),
    ],
    ids=["ruff", "ruff-format", "mypy-strict", "squawk"],
)
def test_the_linters_find_nothing(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name(command[0])
    words = [
        str(path)
        for word in command[1:]
        for path in (sorted(ROOT.glob(word)) if "*" in word else [word])
    ]
    ran = subprocess.run([program, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _runner(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":  # prints what README has to hold
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("rooms", "commands", "permissions"))
    what = parser.parse_args().what
    sys.stdout.write(
        {"rooms": rooms, "commands": commands, "permissions": permissions.markdown}[what]()
    )
