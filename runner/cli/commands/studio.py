"""The commands that show records: studio in a browser, report as files."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from runner import signals
from runner.cli.commands.common import Options, document, show_target
from runner.cli.console import Console
from runner.errors import DONE, Interrupted, RunnerError, UsageError
from runner.migrate.session import migrator_for
from runner.settings import Settings

_NEEDS = ("starlette", "jinja2", "uvicorn", "pygments", "psycopg_pool")


def studio(where: Settings, options: Options, console: Console) -> int:
    """Show the records as a given person sees them, until Ctrl-C."""
    _check_extra()
    from runner.studio.actions import Demands  # noqa: PLC0415
    from runner.studio.data import viewer  # noqa: PLC0415 - the extra may be missing
    from runner.studio.web import middleware, server  # noqa: PLC0415
    from runner.studio.web.database_pages import Backstage  # noqa: PLC0415
    from runner.studio.web.routes import Studio  # noqa: PLC0415

    with (
        server.listening(options.port) as listener,
        migrator_for(where, console.report, create=False, log=False, write=False) as migrator,
    ):
        show_target(migrator, console)
        assert migrator.target  # noqa: S101 - a session's ledger has one
        token, port = middleware.new_token(), listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}/{token}/"
        with viewer.pool(migrator.target) as connections:
            pages = Studio(connections, migrator.target, token)
            app = pages.app(*Backstage(pages, Demands(where)).routes())
            with server.serving(middleware.Gate(app, token, port), listener) as thread:
                console.say(url)
                document(console, options, migrator, url=url)
                console.note("Read-only, for this machine alone. Ctrl-C ends it.")
                with _browser(where, options, console, url):
                    return _wait(thread, console)


def report(where: Settings, options: Options, console: Console) -> int:
    """Write the studio's pages as files that open from disk."""
    if not options.out:
        raise UsageError("report needs a folder", hint="Name it: --out DIR. Nothing was written.")
    _check_extra()
    from runner.studio.actions import Demands  # noqa: PLC0415
    from runner.studio.data import viewer  # noqa: PLC0415 - the extra may be missing
    from runner.studio.web import static_export as sheets  # noqa: PLC0415

    folder = Path(options.out)
    with migrator_for(where, console.report, create=False, log=False, write=False) as migrator:
        show_target(migrator, console)
        assert migrator.target  # noqa: S101 - a session's ledger has one
        with viewer.pool(migrator.target) as connections:
            written = sheets.write(
                connections,
                migrator.target,
                Demands(where),
                folder,
                attached=[Path(name) for name in options.attach or ()],
                report=console.report,
            )
        isolation = "proven" if written.proven else console.paint("not proven", "red")
        console.say(
            f"{written.files} pages: {len(written.tables)} tables as {len(written.people)} "
            f"people; isolation {isolation}"
        )
        console.say(f"written: {folder / 'index.html'}")
        document(console, options, migrator, folder=folder, **vars(written))
    return DONE


def _wait(thread: threading.Thread, console: Console) -> int:
    """Wait for Ctrl-C or SIGTERM, which is how a studio ends. With --json all is said by then."""
    with signals.deferred():  # a proof in another thread may notice the signal first
        signals.resume()
        while thread.is_alive() and not signals.pending_signal():
            thread.join(0.2)
        number = signals.pending_signal()
    if not number:
        raise RunnerError("The studio has stopped by itself", hint="Start it again.")
    ended = Interrupted(number, hint="The studio is closed; it has changed nothing.")
    if console.json:
        return ended.exit_code
    raise ended


def _check_extra() -> None:
    """Raise UsageError, saying what to type, where the studio's own packages are missing."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"The studio needs packages that are not installed: {', '.join(missing)}",
            hint="They come with an extra: python -m pip install --editable '.[studio]'",
        )


@contextlib.contextmanager
def _browser(where: Settings, options: Options, console: Console, url: str) -> Iterator[None]:
    """Open a browser where there is a screen.

    It is given a file that leads on: an argument could be read by every user of the machine.
    """
    screen = sys.platform in ("darwin", "win32") or any(
        where.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if options.no_open or console.json or not (screen and sys.stdout.isatty()):
        yield
        return
    door = Path(where.home) / "studio.html"
    door.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    door.unlink(missing_ok=True)
    door.touch(mode=0o600)
    door.write_text(f'<meta http-equiv="refresh" content="0; url={url}">', encoding="utf-8")
    try:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(door.resolve().as_uri())
        yield
    finally:
        door.unlink(missing_ok=True)
