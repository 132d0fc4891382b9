"""Commands that ask a server: login, submit, status, fetch, cancel, regrade, publish. None of them asks a question.

With a student's token they are about that student's submissions, with any other about batches; the server says which.
"""

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
    handle_errors,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.errors import InputError
from grader.models.recipe import Mode

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
_Id = Annotated[
    str, typer.Argument(metavar="ID", help="A batch's id; with a student's token a submission's.", show_default=False)
]
_JsonFile = Annotated[str, typer.Option("--json", help="Write the answer as JSON here, - for standard output.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Wait until everything is graded, and show how far it is.")]


@app.command()
def login(
    server: Annotated[str, typer.Option(metavar="URL", help="The server that the token is for.", show_default=False)],
) -> None:
    """Keep a token for a server, in a file that only you may read; it is typed, or piped in, and tried first."""
    with handle_errors():
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
    title: Annotated[
        str, typer.Option(help="What it is called; what is handed in once more under another title is another batch.")
    ] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Hand in to a server: a class's submissions, or with a student's token all of these notebooks as one.

    The same files once more are the same batch, or submission. Of a folder the server gets notebooks only; each folder
    in a class's is a student's. With --watch a student then sees the report.

    Exit codes: 0 accepted (with --watch: all graded), 1 some are not, 2 the input is wrong, 3 the server failed.
    """
    with handle_errors(), _connected(server) as client:
        from grader.client.packing import pack

        refuse_unwritable(json_file)
        with show_progress() as progress, tempfile.TemporaryDirectory(prefix="to-be-sent-") as scratch:
            student = _is_student(client)
            progress("packing")
            files = pack(paths, Path(scratch))
            progress(f"sending to {client.server}")
            send = client.submit_own if student else client.submit
            accepted = send(files, assignment=assignment, training=training.value, title=title)
            progress("")
        if json_file:
            write_text(json_file, _text(accepted))
        if json_file != "-":
            _show_accepted(accepted)
        code = PASSED
        if watch and student:
            found = _watched_own(client, str(accepted["submission"]))
            code = _code_own(found)
            if json_file != "-":
                _show_own(client, found)
        elif watch:
            code = _watched(client, str(accepted["batch"]))
    raise typer.Exit(code)


@app.command()
def status(
    which: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A batch's id, with a student's token a submission's; without it, all are listed."
        ),
    ] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Show the batches on a server, or how far one of them is; to a student their submissions, or the report of one.

    Exit codes: 0 everything is graded, 1 something is not (yet), 2 there is none of this id, 3 the server failed.
    """
    with handle_errors(), _connected(server) as client:
        refuse_unwritable(json_file)
        if watch and not which:
            raise InputError("--watch needs a batch, or a student's submission: give its id")
        code = (_status_own if _is_student(client) else _status)(client, which, json_file, watch)
    raise typer.Exit(code)


def _status(client: Client, batch: str, json_file: str, watch: bool) -> int:
    from grader.render.batches import render_batches, render_submissions

    if not batch:
        found = list(client.batches())
        if json_file:
            write_text(json_file, _text(found))
        if json_file != "-":
            render_batches(found, Console())
        return PASSED
    if watch:
        _watched(client, batch)
    about, submissions = client.batch(batch), list(client.submissions(batch))
    if json_file:
        write_text(json_file, _text({**about, "items": submissions}))
    if json_file != "-":
        render_submissions(about, submissions, Console())
    return _code(about)


def _status_own(client: Client, submission: str, json_file: str, watch: bool) -> int:
    from grader.render.batches import render_own

    if not submission:
        listed = list(client.own_submissions())
        if json_file:
            write_text(json_file, _text(listed))
        if json_file != "-":
            render_own(listed, Console())
        return PASSED
    found = _watched_own(client, submission) if watch else client.submission(submission)
    if json_file:
        write_text(json_file, _text(found))
    if json_file != "-":
        _show_own(client, found)
    return _code_own(found)


@app.command()
def fetch(
    which: _Id,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write.", show_default=False)],
    formats: Annotated[
        list[_Format] | None,
        typer.Option("--format", help="Of reports, besides JSON. May be repeated.", show_default="json and html"),
    ] = None,
    server: _Server = "",
) -> None:
    """Write a batch's reports, gradebook and summary into a folder, or for a student the report of one submission.

    What is there of a batch already is not fetched again.

    Exit codes: 0 everybody has a report, 1 some have none (yet), 2 the input is wrong, 3 the server failed.
    """
    with handle_errors(), _connected(server) as client:
        fetched = _fetch_own if _is_student(client) else _fetch
        code = fetched(client, which, out, [each.value for each in formats or _Format])
    raise typer.Exit(code)


def _fetch(client: Client, batch: str, out: Path, formats: list[str]) -> int:
    from grader.client.fetching import fetch
    from grader.render.text import sanitise_line, sanitise_text

    with show_progress() as progress:
        fetched = fetch(client, batch, out, formats, progress)
        progress("")
    print(f"{fetched.reports} reports in", sanitise_text(str(out)))
    for key, why in fetched.without.items():
        print(f"no report: {sanitise_line(key)}: {sanitise_line(why)}")
    return NOT_PASSED if fetched.without else PASSED


def _fetch_own(client: Client, submission: str, out: Path, formats: list[str]) -> int:
    from grader.client.fetching import fetch_own
    from grader.render.text import sanitise_line, sanitise_text

    found = client.submission(submission)
    if found["points"]:
        for file in fetch_own(client, str(found["id"]), out, formats):
            print(sanitise_text(str(file)))
    else:
        print(f"no report: {sanitise_line(str(found['message'] or found['state']))}")
    return _code_own(found)


@app.command()
def cancel(which: _Id, server: _Server = "") -> None:
    """Grade nothing more of a batch, or of a student's submission; reports that are there stay."""
    with handle_errors(), _connected(server) as client:
        from grader.render.text import sanitise_line

        stop = client.cancel_own if _is_student(client) else client.cancel
        print(sanitise_line(f"{stop(which)['cancelled']} gradings cancelled"))


@app.command()
def regrade(batch: _Batch, server: _Server = "", watch: _Watch = False) -> None:
    """Grade a batch again under the rubric as it is now; students see nothing of it before `grader publish`.

    Exit codes: 0 it was asked for (with --watch: all graded), 1 some are not, 2 no such batch, 3 the server failed.
    """
    with handle_errors(), _connected(server) as client:
        from grader.render.text import sanitise_line

        asked = client.regrade(batch)
        print(sanitise_line(f"{asked['gradings']} submissions are graded again, rubric {str(asked['revision'])[:12]}"))
        code = _watched(client, batch) if watch else PASSED
    raise typer.Exit(code)


@app.command()
def publish(
    batch: _Batch,
    server: _Server = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show whose points would change.")] = False,
) -> None:
    """Make the drafts of a regrade the reports that students see, and say whose points change."""
    with handle_errors(), _connected(server) as client:
        from grader.render.batches import render_changes
        from grader.render.text import sanitise_line

        preview = client.preview(batch)
        render_changes(preview, Console())
        if not dry_run:
            print(sanitise_line(f"{client.publish(batch)['published']} reports published"))


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


def _is_student(client: Client) -> bool:
    return bool(client.whoami().get("role") == "student")


def _watched(client: Client, batch: str) -> int:
    """Show how far a batch is until it is done, and return the exit code."""
    from grader.render.batches import BatchProgress

    with BatchProgress(Console(stderr=True), client.batch(batch)) as shown:
        for event in client.events(batch):
            shown.happened(event.kind, str(event.data.get("submission")))
    return _code(client.batch(batch))


def _watched_own(client: Client, submission: str) -> Any:
    """Show each state of a submission until its grading has ended, and return it as it then is."""
    from grader.render.batches import render_state

    found: Any = None
    for found in client.until_ended(submission):
        render_state(found, Console(stderr=True))
    return found


def _show_own(client: Client, found: Any) -> None:
    """Show the report of a submission as `grader check` does, or where it stands while there is none."""
    from grader.render.batches import render_own
    from grader.render.terminal import render_terminal
    from grader.results.report import Report

    if found["points"]:
        text = client.report(str(found["id"])).decode("utf-8", "replace")
        render_terminal(Report.from_json(text), Console())
    else:
        render_own([found], Console())


def _code_own(found: Any) -> int:
    """Return 0 where there is a report, which a regrade leaves alone until its own is published."""
    return PASSED if found["points"] else NOT_PASSED


def _code(about: Any) -> int:
    """Return 0 where every submission was graded."""
    return PASSED if about["states"].get("graded", 0) == about["submissions"] else NOT_PASSED


def _show_accepted(accepted: Any) -> None:
    from grader.render.text import sanitise_line

    if "submission" in accepted:
        what, told = "submission", f"submission {accepted['submission']}"
    else:
        what, told = "batch", f"batch {accepted['batch']}: {accepted['submissions']} submissions"
    known = "" if accepted["new"] else f" (handed in before; another --title makes another {what})"
    print(f"{sanitise_line(told)}{known}")
    for notice in accepted["notices"]:
        print("note:", sanitise_line(str(notice)))


def _text(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
