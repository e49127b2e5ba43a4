"""Browse the records as a given person sees them: a local, read-only page."""

from __future__ import annotations

import argparse
import contextlib
import sys

from runner.cli.context import Context

EXAMPLE = "studio --port 8800"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (0: any free port)")
    parser.add_argument("--no-open", action="store_true", help="only print the link")


def run(context: Context) -> int:
    from runner.studio import launch

    launch.require_packages()
    from runner.studio.actions import Actions
    from runner.studio.web import middleware, server
    from runner.studio.web.database_pages import DatabasePages
    from runner.studio.web.routes import Studio

    settings, options, console = context.settings, context.options, context.console
    with (
        server.listening(options.port) as listener,
        context.migrator(create=False, log=False, write=False),
    ):
        token, port = middleware.new_token(), listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}/{token}/"
        with launch.source(context.target, settings.sql_dir, console.note) as source:
            pages = Studio(source, context.target, token)
            app = pages.app(*DatabasePages(pages, Actions(settings)).routes())
            with server.serving(middleware.AccessControl(app, token, port), listener) as thread:
                context.say(url)
                context.document(url=url)
                console.note("Read-only, for this machine alone. Ctrl-C ends it.")
                wanted = not (options.no_open or console.json) and sys.stdout.isatty()
                with contextlib.ExitStack() as stack:
                    if wanted and launch.has_screen(settings):
                        stack.enter_context(launch.browser(settings, url))
                    ended = launch.wait(thread)
    console.note(ended.state)
    return ended.exit_code
