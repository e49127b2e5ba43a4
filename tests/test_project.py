"""The code base: its size, its wheel, and the linters."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNNER = ROOT / "runner"
CORE = ("files", "postgres", "schema", "execution", "migrate", "cli")  # and the root modules
MODULES = sorted(RUNNER.rglob("*.py"))


def code_lines(module: Path) -> Counter[str]:
    """Count the lines that are neither blank nor a comment, and those of them in docstrings."""
    text = module.read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    code = {n for n, line in enumerate(lines, 1) if line and not line.startswith("#")}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node, clean=False)
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    return Counter(lines=len(code), docstrings=len(code & docstrings))


def core_lines() -> dict[str, Counter[str]]:
    """Return the lines of each core package, and of the root modules."""
    packages = {name: sorted((RUNNER / name).rglob("*.py")) for name in CORE}
    packages["root modules"] = sorted(RUNNER.glob("*.py"))
    return {
        name: sum(map(code_lines, modules), Counter[str]()) for name, modules in packages.items()
    }


def test_runner_has_at_most_20_entries() -> None:
    entries = {path.name for path in RUNNER.iterdir()} - {"__pycache__"}
    assert len(entries) <= 20, sorted(entries)


def test_no_module_has_more_than_320_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in MODULES
    }
    assert not {name: length for name, length in lengths.items() if length > 320}


def test_every_module_has_a_docstring() -> None:
    missing = [
        str(path)
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not missing


def test_contributing_states_the_size_of_the_core() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    counts = core_lines()
    counts["**core**"] = sum(counts.values(), Counter[str]())
    rows = "".join(
        f"| {name} | {n['lines']:,} | {n['lines'] - n['docstrings']:,} |\n"
        for name, n in counts.items()
    )
    assert rows in page, f"the table should be:\n{rows}"


def test_project_script_is_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"plainsql": "runner.cli.main:main"}
    program = Path(sys.executable).with_name("plainsql")
    ran = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"runner {project['version']}\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that root's server can reach too, which it cannot below pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_command_of_readme_makes_a_seeded_database(folder: Path) -> None:
    """What "Run it" does after the installation; sql/ and seeds/ are the real ones."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.split("\n## Run it\n", 1)[1].split("```")[1]
    assert command.rstrip().endswith("&& .venv/bin/python -m runner up")
    for name in ("sql", "seeds"):
        (folder / name).symlink_to(ROOT / name)
    try:
        ran = _runner(folder, "up")
        assert ran.returncode == 0, ran.stderr
        count = len([file for file in (ROOT / "sql").glob("*.sql") if ".rollback" not in file.name])
        assert f"{count} applied now, {count} in total, 0 pending" in ran.stdout
        assert "python -m runner status" in ran.stderr
        assert _runner(folder, "status").returncode == 0
        assert "no rows changed" in _runner(folder, "up").stdout
    finally:
        assert _runner(folder, "down").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("lint-imports",),
        ("squawk", "sql/*.sql"),
    ],
    ids=["ruff", "ruff-format", "mypy-strict", "import-linter", "squawk"],
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


def test_files_for_github_are_valid_and_name_commands_that_exist() -> None:
    action = ROOT / ".github" / "actions" / "check" / "action.yml"
    lines = re.findall(r"plainsql ([a-z]+)(.*)", action.read_text(encoding="utf-8"))
    named = [(command, re.findall(r"--[a-z-]+", rest)) for command, rest in lines]
    assert {"check", "plan", "verify", "report"} <= {command for command, _ in named}
    for command, options in named:
        known = _runner(ROOT, command, "--help").stdout
        assert command in known
        assert set(options) <= set(re.findall(r"--[a-z-]+", known))
    program = Path(sys.executable).with_name("check-jsonschema")
    if not program.exists():
        pytest.skip("the YAML was not checked: check-jsonschema is not installed")
    for schema, path in {
        "workflows": action.parents[2] / "workflows/test.yml",
        "actions": action,
    }.items():
        words = [str(program), "--builtin-schema", f"vendor.github-{schema}", str(path)]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout


def test_the_summary_of_the_action_has_what_was_said_and_what_became_reachable(
    tmp_path: Path,
) -> None:
    """With a stand-in for GitHub's own program."""
    report, lock = tmp_path / "plainsql-report", tmp_path / "sql" / "isolation.lock"
    for folder in (report, lock.parent):
        folder.mkdir()
    (report / "verify.txt").write_text("✗ rights\n``` 3 breaches of 1 cause\n", encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    lock.write_text("table | public.a | force | on\n")
    for words in (["init", "-qb", "main"], ["add", "sql"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    lock.write_text("table | public.a | force | on\nprivilege | public.a | anon | select\n")
    subprocess.run([*git, "commit", "-qam", "two"], cwd=tmp_path, check=True)
    (tmp_path / "gh").write_text('#!/bin/sh\necho "$@" > asked\n')
    (tmp_path / "gh").chmod(0o755)
    script = ROOT / ".github" / "actions" / "check" / "summary.sh"
    environ = {"RUNNER_TEMP": str(tmp_path), "RUNNER_SQL_DIR": "sql", "BASE": "main~1"}
    environ |= {"GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"), "COMMENT": "true"}
    environ |= {"PATH": f"{tmp_path}:/usr/bin:/bin", "PULL_REQUEST": "7", "HOME": str(tmp_path)}
    subprocess.run(["bash", str(script)], cwd=tmp_path, env=environ, check=True)
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "<b>verify</b>" in page and "3 breaches of 1 cause" in page
    assert "+privilege | public.a | anon | select" in page
    assert "-table" not in page
    assert (tmp_path / "asked").read_text().startswith("pr comment 7 --edit-last --create-if-none")


def _runner(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
