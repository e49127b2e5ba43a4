"""The wheel, and the pytest plugin as another repository uses it: by wheel, and by submodule."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest
from checkout import clean_environ

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "runner"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)),
        ],
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_contains_every_file_of_the_package(installed: Path) -> None:
    names = {str(path.relative_to(installed)) for path in installed.rglob("*")}
    expected = {
        str(path.relative_to(ROOT))
        for path in RUNNER.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert not expected - names


def pytest_in(folder: Path, *words: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugins of these paths, and without xdist."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-q", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(dedent(text), encoding="utf-8")


def test_another_repository_uses_the_plugin_by_wheel(tmp_path: Path, installed: Path) -> None:
    """With its own migrations: the wheel has none. The plugin loads nothing until it is used."""
    write(
        tmp_path,
        "sql/0001_notes.sql",
        """
        -- 0001_notes
        -- Notes of each tenant.
        create role plugin_member nologin;
        create table public.notes (tenant int not null, body text not null);
        alter table public.notes enable row level security;
        create policy own on public.notes to plugin_member
            using (tenant = current_setting('app.known_tenant', true)::int);
        create function public.before() returns void language sql as $$
            select set_config('app.known_tenant', current_setting('app.tenant'), true) $$;
        grant select, insert on public.notes to plugin_member;
        do $$ begin
            execute format('revoke temporary on database %I from public', current_database());
            execute format('alter database %I set statement_timeout = ''7s''', current_database());
        end $$;
        """,
    )
    write(
        tmp_path,
        "sql/isolation.toml",
        """
        [tenant]
        column = "tenant"
        [identity]
        settings = { "app.tenant" = "{tenant}" }
        pre_request = "public.before"
        [actors]
        member = "plugin_member"
        """,
    )
    write(
        tmp_path,
        "test_notes.py",
        """
        import sys
        import psycopg
        import pytest

        @pytest.fixture(scope="session")
        def plainsql_fill():
            return lambda connection: connection.execute("insert into notes values (1, 'first')")

        def test_nothing_is_loaded_yet():
            assert "psycopg_pool" not in sys.modules
            ours = {name for name in sys.modules if name.split(".")[0] == "runner"}
            testing = {"runner.isolation" + name for name in ("", ".testing", ".testing.plugin")}
            assert ours == {"runner", "runner.errors", *testing}

        @pytest.mark.parametrize("again", range(2))
        def test_each_test_has_its_own_copy(plainsql_database, act_as, again):
            with act_as(tenant="2") as connection:
                connection.execute("insert into notes values (2, 'second')")
                assert connection.execute("select body from notes").fetchall() == [("second",)]
            with act_as(tenant="1") as connection:
                assert connection.execute("select body from notes").fetchall() == [("first",)]
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute("insert into notes values (2, 'another')")
            with plainsql_database.connect() as connection:
                assert connection.execute("select count(*) from notes").fetchone() == (2,)
                assert connection.execute("show statement_timeout").fetchone() == ("7s",)
                held = "select has_database_privilege('public', current_database(), 'temporary')"
                assert connection.execute(held).fetchone() == (False,)
            with psycopg.connect(plainsql_database.url) as connection:
                assert connection.execute("select session_user").fetchone() == ("app_login",)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("select from notes")
        """,
    )
    ran = pytest_in(tmp_path, path=[installed])
    assert "3 passed" in ran.stdout, ran.stdout
    missing = pytest_in(tmp_path, "-o", "plainsql_sql_dir=none", "-k", "own_copy", path=[installed])
    assert "none does not exist\nName the folder of migrations in pytest's" in missing.stdout
    assert "Traceback" not in missing.stdout
    assert missing.returncode == 1


def test_another_repository_uses_the_plugin_by_submodule(tmp_path: Path, installed: Path) -> None:
    """With the schema of the submodule. Its tests are not collected."""
    vendor = tmp_path / "vendor" / "foundation"
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("runner", "sql", "seeds", "tests"):
        shutil.copytree(ROOT / name, vendor / name, ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", vendor)
    metadata = tmp_path / "metadata"  # an editable install has these, and a path to the files
    for found in installed.glob("*.dist-info"):
        shutil.copytree(found, metadata / found.name)
    write(
        tmp_path,
        "pytest.ini",
        """
        [pytest]
        plainsql_sql_dir = vendor/foundation/sql
        plainsql_seeds_dir = vendor/foundation/seeds
        """,
    )
    write(
        tmp_path,
        "tests/test_app.py",
        """
        from pathlib import Path
        import pytest
        import runner

        def test_a_member_reads_one_organization(act_as):
            assert Path(runner.__file__).parts[-4:-2] == ("vendor", "foundation")
            with act_as("0dd10af0-0000-4000-8000-000000000003") as connection:
                names = connection.execute("select name from public.organizations").fetchall()
                assert names == [("Odd Loaf",)]
            with act_as(role="service_role") as connection:
                count = "select count(*) from public.organizations"
                assert connection.execute(count).fetchone() == (2,)
            with pytest.raises(Exception, match="no setting of a request names the tenant here"):
                act_as("0dd10af0-0000-4000-8000-000000000003", tenant="x").__enter__()
        """,
    )
    ran = pytest_in(tmp_path, path=[metadata, vendor])
    assert "1 passed" in ran.stdout, ran.stdout
    broken = "vendor/foundation/sql/0000_broken.sql"
    write(tmp_path, broken, "selct 1;")
    said = pytest_in(tmp_path, path=[metadata, vendor]).stdout
    assert f"at {tmp_path}/{broken}:1:1\n  | selct 1;" in said.replace("E   ", ""), said


def test_init_starts_a_project_from_the_wheel(installed: Path) -> None:
    """It overwrites nothing, and what it makes passes every check; also after `yoyo new`."""
    with tempfile.TemporaryDirectory() as name:  # where root's server can reach it
        Path(name).chmod(0o755)

        def run(*words: str, code: int = 0, cwd: str = f"{name}/shop") -> str:
            ran = subprocess.run(
                [sys.executable, *words],
                cwd=cwd,
                env=clean_environ({"PYTHONPATH": str(installed)}),
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == code, ran.stdout + ran.stderr
            return ran.stdout + ran.stderr

        plainsql = (
            "-c",
            "import sys; sys.argv[0] = 'plainsql'; from runner.cli.main import main; "
            "sys.exit(main())",
        )
        yoyo = ("-c", "import sys; from yoyo.scripts.main import main; sys.exit(main())")
        said = run(*plainsql, "init", "shop", cwd=name)
        assert "Next:\n  cd shop\n  plainsql up " in said
        files = {path: path.read_text() for path in Path(name, "shop").rglob("*.*")}
        assert len(files) == 5
        for folder, cwd in ((".", f"{name}/shop"), ("shop", name)):
            assert "exists, and nothing is overwritten" in run(
                *plainsql, "init", folder, code=64, cwd=cwd
            )
        assert {path: path.read_text() for path in files} == files
        try:
            assert "1 applied now, 1 in total, 0 pending" in run(*plainsql, "up")
            assert "nothing to apply" in run(*plainsql, "apply")
            assert "1 file, 6 checks, 0 failed" in run(*plainsql, "check")
            assert "0 breaches" in run(*plainsql, "verify")
            assert "A" in run(*yoyo, "list")
            assert "Only SQL files are supported" in run(*yoyo, "new", "-m", "add colors")
            [added] = Path(name, "shop", "sql").glob("*add-colors.sql")
            assert added.with_name(f"{added.stem}.rollback.sql").is_file()
            added.write_text("create table public.colors (id bigint primary key);")
            assert "1 applied now, 2 in total" in run(*plainsql, "apply")
            Path(name, "shop", "sql", "20270101_01_abcde-own.py").write_text("steps = []")
            assert "plainsql new NAME, or yoyo new --sql" in run(*plainsql, "apply", code=1)
        finally:
            run(*plainsql, "down")
