"""Commands for the key of an installation: key show and key rotate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from grader.cli.command_line import CommandLine
from grader.cli.console import app, handle_errors, refuse_unwritable, write_text
from grader.cli.help_pages import Section

if TYPE_CHECKING:
    from grader.installation_key import KeyStatus
    from grader.service.store.database import Store

__all__ = ["rotate", "show"]

keys = CommandLine(help="Manage the secret key from which the inputs of tests are derived.")
app.add_typer(keys, name="key", rich_help_panel=Section.MACHINE)

_JSON = Annotated[str, typer.Option("--json", help="Write the result as JSON to this file, - for standard output.")]
_SERVICE = Annotated[
    bool, typer.Option("--service", help="The key of the service's workers: in GRADER_DATABASE, or GRADER_KEY_FILE.")
]


@keys.command()
def show(service: _SERVICE = False, json_file: _JSON = "") -> None:
    """Show the current key's id, its place and its age, never the key itself. If there is none yet, make one."""
    with handle_errors():
        from grader.installation_key import describe_key_file

        refuse_unwritable(json_file)
        with _open_store(service) as store:
            if store is None:
                status = describe_key_file()
            else:
                from grader.service.store.queries.keys import describe_keys

                status = describe_keys(store)
        _write(status, json_file)


@keys.command()
def rotate(service: _SERVICE = False, json_file: _JSON = "") -> None:
    """Make a new key, with which everything is graded from now on.

    Earlier keys are kept, and the reports that were made with them stay as they are.
    """
    with handle_errors():
        from grader.installation_key import describe_key_file, rotate_key_file

        refuse_unwritable(json_file)
        with _open_store(service) as store:
            if store is None:
                rotate_key_file()
                status = describe_key_file()
            else:
                from grader.service.store.queries.keys import describe_keys, rotate_key

                rotate_key(store)
                status = describe_keys(store)
        _write(status, json_file)


@contextmanager
def _open_store(service: bool) -> Iterator[Store | None]:
    """Yield the store that keeps the key, or None if it is in a file."""
    if not service:
        yield None
        return
    from grader.service.settings import Settings
    from grader.service.store.database import Store, check_migrated

    settings = Settings.from_environment()
    if settings.key_file:
        yield None
        return
    store = Store.open(settings)
    try:
        check_migrated(store)
        yield store
    finally:
        store.close()


def _write(status: KeyStatus, json_file: str) -> None:
    import json
    from dataclasses import asdict
    from datetime import UTC, datetime

    from grader.render.text import sanitise_text

    if json_file:
        write_text(json_file, json.dumps(asdict(status), indent=1, default=str) + "\n")
    if json_file == "-":
        return
    days = (datetime.now(UTC) - status.created_at).days
    print(f"key      {status.id}")
    print(f"place    {sanitise_text(status.place) or 'not kept: it lasts as long as one command'}")
    print(f"made     {status.created_at:%Y-%m-%d %H:%M} UTC, {days} days ago")
    if status.earlier:
        print(f"earlier  {', '.join(status.earlier)}")
