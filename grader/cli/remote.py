"""Commands that ask a server: login, submit, status, fetch, cancel, regrade, publish. None of them asks a question."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    exit_codes,
    refuse_unwritable,
    shown_progress,
    write_text,
)
from grader.errors import InputError
from grader.recipe import Mode

if TYPE_CHECKING:
    from grader.client.connection import Client

__all__ = ["cancel", "fetch", "login", "publish", "regrade", "status", "submit"]


class _Format(StrEnum):
    JSON = "json"
    HTML = "html"


_Server = Annotated[
    str, typer.Option(metavar="URL", help="The server.", show_default="GRADER_SERVER, or the only one logged in to")
]
_Batch = Annotated[str, typer.Argument(help="The batch's id.", show_default=False)]
_JsonFile = Annotated[str, typer.Option("--json", help="Write the answer as JSON here, - for standard output.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Wait until everything is graded, and show how far it is.")]


@app.command()
def login(
    server: Annotated[str, typer.Option(metavar="URL", help="The server that the token is for.", show_default=False)],
) -> None:
    """Keep a token for a server, in a file that only you may read; it is typed, or piped in, and tried first."""
    with exit_codes():
        from grader.client.connection import Client
        from grader.client.credentials import save_token

        with Client(server, _secret(), origin="standard input") as client:
            client.assignments()  # says so where the token is not known
            print("kept in", save_token(server, client.token))
            if client.server.startswith("http://") and not re.match(
                r"http://(127\.|localhost\b|\[::1\])", client.server
            ):
                print("note: http:// shows this token to everybody on the way; ask for an address with https://")


@app.command()
def submit(
    paths: Annotated[list[Path], typer.Argument(help="A folder, a zip, or notebooks.", show_default=False)],
    assignment: Annotated[str, typer.Option(help="An assignment that the server offers.")] = "hw2",
    training: Annotated[Mode, typer.Option(help="What is done with trainings.")] = Mode.QUICK,
    title: Annotated[str, typer.Option(help="What the batch is called; another title makes another batch.")] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Hand in a class's submissions to a server. The same files once more are the same batch.

    Of a folder the server gets notebooks only; each folder in it is a student's.

    Exit codes: 0 accepted (with --watch: all graded), 1 some are not, 2 the input is wrong, 3 the server failed.
    """
    with exit_codes(), _connected(server) as client:
        from grader.client.packing import packed

        refuse_unwritable(json_file)
        with shown_progress() as progress, tempfile.TemporaryDirectory(prefix="grader-submit-") as scratch:
            progress("packing")
            files = packed(paths, Path(scratch))
            progress(f"sending to {client.server}")
            accepted = client.submit(files, assignment=assignment, training=training.value, title=title)
            progress("")
        if json_file:
            write_text(json_file, _text(accepted))
        if json_file != "-":
            _show_accepted(accepted)
        code = _watched(client, str(accepted["batch"])) if watch else PASSED
    raise typer.Exit(code)


@app.command()
def status(
    batch: Annotated[str, typer.Argument(help="A batch's id; without it, all batches are listed.")] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Show the batches on a server, or how far one of them is.

    Exit codes: 0 everything is graded, 1 something is not (yet), 2 there is no such batch, 3 the server failed.
    """
    with exit_codes(), _connected(server) as client:
        from grader.render.batches import render_batches, render_submissions

        refuse_unwritable(json_file)
        if not batch:
            if watch:
                raise InputError("--watch needs a batch: give its id")
            found = list(client.batches())
            if json_file:
                write_text(json_file, _text(found))
            if json_file != "-":
                render_batches(found, Console())
            raise typer.Exit(PASSED)
        if watch:
            _watched(client, batch)
        about, submissions = client.batch(batch), list(client.submissions(batch))
        if json_file:
            write_text(json_file, _text({**about, "items": submissions}))
        if json_file != "-":
            render_submissions(about, submissions, Console())
    raise typer.Exit(_code(about))


@app.command()
def fetch(
    batch: _Batch,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write.", show_default=False)],
    formats: Annotated[
        list[_Format] | None,
        typer.Option("--format", help="Of reports, besides JSON. May be repeated.", show_default="json and html"),
    ] = None,
    server: _Server = "",
) -> None:
    """Write a batch's reports, gradebook and summary into a folder; what is there already is not fetched again.

    Exit codes: 0 everybody has a report, 1 some have none (yet), 2 the input is wrong, 3 the server failed.
    """
    with exit_codes(), _connected(server) as client:
        from grader.client.fetching import fetch
        from grader.render.text import line, plain

        with shown_progress() as progress:
            fetched = fetch(client, batch, out, [each.value for each in formats or _Format], progress)
            progress("")
        print(f"{fetched.reports} reports in", plain(str(out)))
        for key, why in fetched.without.items():
            print(f"no report: {line(key)}: {line(why)}")
    raise typer.Exit(NOT_PASSED if fetched.without else PASSED)


@app.command()
def cancel(batch: _Batch, server: _Server = "") -> None:
    """Grade nothing more of a batch; reports that are there stay."""
    with exit_codes(), _connected(server) as client:
        print(f"{client.cancel(batch)['cancelled']} gradings cancelled")


@app.command()
def regrade(batch: _Batch, server: _Server = "", watch: _Watch = False) -> None:
    """Grade a batch again under the rubric as it is now; students see nothing of it before `grader publish`.

    Exit codes: 0 it was asked for (with --watch: all graded), 1 some are not, 2 no such batch, 3 the server failed.
    """
    with exit_codes(), _connected(server) as client:
        asked = client.regrade(batch)
        print(f"{asked['gradings']} submissions are graded again, rubric {str(asked['revision'])[:12]}")
        code = _watched(client, batch) if watch else PASSED
    raise typer.Exit(code)


@app.command()
def publish(
    batch: _Batch,
    server: _Server = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show whose points would change.")] = False,
) -> None:
    """Make the drafts of a regrade the reports that students see, and say whose points change."""
    with exit_codes(), _connected(server) as client:
        from grader.render.batches import render_changes

        preview = client.preview(batch)
        render_changes(preview, Console())
        if not dry_run:
            print(f"{client.publish(batch)['published']} reports published")


@contextmanager
def _connected(server: str) -> Iterator[Client]:
    from grader.client.connection import Client
    from grader.client.credentials import find_credentials

    known = find_credentials(server)
    with Client(known.server, known.token, origin=known.origin) as client:
        yield client


def _secret() -> str:
    """Read a token: hidden where a person types it, else from what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass

    return getpass("Token: ")


def _watched(client: Client, batch: str) -> int:
    """Show how far a batch is until it is done, and return the exit code."""
    from grader.render.batches import BatchProgress

    with BatchProgress(Console(stderr=True), client.batch(batch)) as shown:
        for event in client.events(batch):
            shown.happened(event.kind, str(event.data.get("submission")))
    return _code(client.batch(batch))


def _code(about: Any) -> int:
    """Return 0 where every submission was graded."""
    return PASSED if about["states"].get("graded", 0) == about["submissions"] else NOT_PASSED


def _show_accepted(accepted: Any) -> None:
    from grader.render.text import line

    known = "" if accepted["new"] else " (handed in before; another --title makes another batch)"
    print(f"batch {accepted['batch']}: {accepted['submissions']} submissions{known}")
    for notice in accepted["notices"]:
        print("note:", line(str(notice)))


def _text(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
