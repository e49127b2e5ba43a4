"""Print the database's URL for your application, or for administration."""

from __future__ import annotations

import argparse

from runner.cli.context import Context

EXAMPLE = "url --show-password"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--admin", action="store_true", help="embedded server: as its superuser")
    parser.add_argument("--show-password", action="store_true", help="do not mask the password")


def run(context: Context) -> int:
    from runner.isolation import application_login
    from runner.postgres.target import locate

    target = locate(context.settings, create=False, report=context.report)
    if not context.options.admin:
        target = application_login.target_of(target, context.console.note)
    url = target.url(show_password=context.options.show_password)
    context.say(url)
    application_login.advise(target, url, context.console.note)
    return context.document(url=url)
