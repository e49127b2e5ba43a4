"""Start the studio: check its packages, open a browser, wait until it is stopped."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import Interrupted, RunnerError, UsageError
from runner.isolation import application_login
from runner.postgres import signals
from runner.postgres.target import Target
from runner.settings import Settings

if TYPE_CHECKING:
    from runner.studio.data.viewer import Source

_PACKAGES = ("starlette", "uvicorn", "pygments", "psycopg_pool")


def require_packages() -> None:
    """Raise UsageError, with the command to type, where the extra is not installed."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"The studio needs packages that are not installed: {', '.join(missing)}",
            hint="They come with an extra: python -m pip install 'plain-sql-foundation[studio]'",
        )


@contextlib.contextmanager
def source(target: Target, sql_dir: Path, note: Callable[[str], None]) -> Iterator[Source]:
    """Open the connections: people are viewed through the login of applications, if there is one.

    `note` is told that the embedded server has none.
    """
    from runner.studio.data import viewer  # noqa: PLC0415 - needs the packages

    login = application_login.target_of(target, note)
    with viewer.opened(target, sql_dir, login) as opened:
        yield opened


def has_screen(settings: Settings) -> bool:
    """Return whether a browser can be opened here."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(map(settings.environ.get, names))


@contextlib.contextmanager
def browser(settings: Settings, url: str) -> Iterator[None]:
    """Open a browser with a file that redirects to the URL, and delete the file at the end.

    Every user of the machine could read the URL, which is secret, in the browser's arguments.
    """
    redirect = settings.home / "studio.html"
    redirect.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    redirect.unlink(missing_ok=True)
    redirect.touch(mode=0o600)
    redirect.write_text(f'<meta http-equiv="refresh" content="0; url={url}">', encoding="utf-8")
    try:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(redirect.resolve().as_uri())
        yield
    finally:
        redirect.unlink(missing_ok=True)


def wait(thread: threading.Thread) -> Interrupted:
    """Wait for Ctrl-C or SIGTERM, which end a studio. Raises RunnerError if it stops by itself."""
    with signals.deferred():  # a proof in another thread may notice the signal first
        signals.resume()
        while thread.is_alive() and not signals.pending_signal():
            thread.join(0.2)
        number = signals.pending_signal()
    if not number:
        raise RunnerError("The studio has stopped by itself", hint="Start it again.")
    return Interrupted(number, state="The studio is closed; it has changed nothing.")
