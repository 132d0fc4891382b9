"""The command line: thin, every command calls one function of the package."""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from grader.errors import GraderError, InputError
from grader.recipe import Mode

__all__ = ["app"]

PASSED, NOT_PASSED, WRONG_INPUT, SYSTEM_FAULT = 0, 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Grade deep-learning notebooks in a sandbox that knows no answers.",
    epilog="Exit codes: 0 every automatic item passed, 1 some did not, 2 the input is wrong, 3 the system failed.",
)

rubric = typer.Typer(no_args_is_help=True, help="Work on a rubric.")
app.add_typer(rubric, name="rubric")
assignments = typer.Typer(no_args_is_help=True, help="Work on assignments.")
app.add_typer(assignments, name="assignment")
data_sets = typer.Typer(invoke_without_command=True, help="Find and fetch the data sets that trainings use.")
app.add_typer(data_sets, name="data")


@app.command()
def check(
    notebooks: Annotated[list[Path], typer.Argument(help="The notebooks of one submission.", show_default=False)],
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
    json_file: Annotated[
        str, typer.Option("--json", help="Write the report as JSON here, - for standard output.")
    ] = "",
    html_file: Annotated[str, typer.Option("--html", help="Write the report as one HTML file here.")] = "",
    training: Annotated[
        Mode | None,
        typer.Option(
            help="none: nothing is trained. quick: recipes for a CPU. full: the book's recipes, and the notebook's own "
            "training cells as written.",
            show_default="full where there is a GPU, else quick",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where Fashion-MNIST is.", show_default="found; see `grader data`"),
    ] = None,
) -> None:
    """Check one submission of one or more notebooks."""
    with _exit_codes(), _progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.sandbox import Zygote
        from grader.submission import read_submission

        found = find_assignment(assignment)
        submission = read_submission(notebooks)
        _refuse_unwritable(json_file, html_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            # Imported here, so that the warm process imports the same packages meanwhile.
            with _interrupts_held():
                from grader.grade import grade
                from grader.training.devices import default_mode
                from grader.training.trainer import offered_trainer

            mode = training or default_mode()
            with offered_trainer(mode, data) as trainer:
                report = grade(submission, found, zygote, mode=mode, trainer=trainer, progress=progress)
        if html_file:
            from grader.render.html import render_html

            _write(html_file, render_html(report))
        if json_file:
            _write(json_file, report.to_json())
        progress("")
        if "-" not in (json_file, html_file):
            from grader.render.terminal import render_terminal

            render_terminal(report, Console())
    raise typer.Exit(PASSED if report.passed else NOT_PASSED)


@app.command()
def doctor(
    assignment: Annotated[str, typer.Option(help="An assignment's name, or the path of its folder.")] = "hw2",
) -> None:
    """Tell which sandbox layers hold on this machine, which packages are there, and what trainings would use."""
    with _exit_codes(), _progress() as progress:
        from grader.assignment import find_assignment
        from grader.render.text import plain
        from grader.sandbox.sandbox import Zygote

        found = find_assignment(assignment)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote, zygote.sandbox(found.limits) as sandbox:
            progress("")
            console = Console()
            for layer in sandbox.layers:
                console.print(f"{'on ' if layer.on else 'off'}  {layer.name:22}{layer.reason}", markup=False)
            for package in found.packages:
                console.print(f"{package}: {zygote.missing.get(package, 'imported')}", markup=False)
            complete = all(layer.on for layer in sandbox.layers) and not zygote.missing
            with _interrupts_held():
                from grader.training.inventory import training_facts

            for name, text in training_facts():
                console.print(f"{name}: {plain(text)}", markup=False, soft_wrap=True)
    raise typer.Exit(PASSED if complete else NOT_PASSED)


@app.command()
def calibrate(
    assignment: Annotated[str, typer.Argument(help="An assignment's name, or the path of its folder.")],
    notebooks: Annotated[
        list[Path] | None, typer.Argument(help="Notebooks whose models are known to be right, besides its own.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="How many trainings for each model.")] = 20,
    models: Annotated[int, typer.Option(min=1, help="How many models of each item, the most frequent ones.")] = 3,
    training: Annotated[Mode, typer.Option(help="quick or full: whose recipes are calibrated.")] = Mode.QUICK,
    data: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where Fashion-MNIST is.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the thresholds into rubric.toml.")] = False,
) -> None:
    """Train right models with many seeds, and say what accuracy a training must reach.

    Exit codes: 0 right models fail less often than once in 10,000, 1 some recipe does not tell them from wrong ones.
    """
    with _exit_codes(), _progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.sandbox import Zygote
        from grader.submission import read_submission

        found = find_assignment(assignment)
        others = {path.name: read_submission([path]) for path in notebooks or ()}
        with Zygote(found.packages) as zygote:
            with _interrupts_held():
                from grader.calibrate import calibrate, write_thresholds
                from grader.training.trainer import offered_trainer

            with offered_trainer(training, data) as trainer:
                if trainer is None:
                    raise InputError("there is nothing to train on: give --training quick, and see `grader data`")
                calibrations = calibrate(
                    found, zygote, trainer, training, seeds=seeds, models=models, others=others, progress=progress
                )
        progress("")
        from grader.render.calibration import render_calibrations

        render_calibrations(calibrations, Console())
        if write:
            print("wrote", write_thresholds(found, calibrations))
    raise typer.Exit(PASSED if all(each.good for each in calibrations) else NOT_PASSED)


@app.command()
def schema() -> None:
    """Print the JSON schema of reports."""
    import json

    from grader.report import report_schema

    print(json.dumps(report_schema(), indent=2))


@assignments.command()
def new(
    name: Annotated[str, typer.Argument(help="The assignment's name, and its folder's.", show_default=False)],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to make that folder in.")] = Path(),
) -> None:
    """Write a small assignment that works, to be changed into your own.

    Exit codes: 0 it is written, 2 the name or the folder will not do.
    """
    with _exit_codes():
        from grader.authoring import new_assignment
        from grader.render.text import plain

        for path in new_assignment(name, into):
            print("wrote", plain(str(path)))
        folder = into / name
        # With a slash, because a bare name would be looked for among the grader's own assignments first.
        shown = plain(str(folder) if folder.is_absolute() else f"./{folder}")
        print("\nTry it:")
        print(f"    grader rubric verify {shlex.quote(shown)}")
        print(f"    grader check {shlex.quote(f'{shown}/example.ipynb')} --assignment {shlex.quote(shown)}")


@rubric.command()
def verify(
    assignment: Annotated[str, typer.Argument(help="An assignment's name, or the path of its folder.")],
    json_file: Annotated[
        str, typer.Option("--json", help="Write the result as JSON here, - for standard output.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="How many submissions are graded at once.")] = os.cpu_count() or 1,
) -> None:
    """Grade known submissions: the solution gets every point, an empty notebook none, each mutant loses what it breaks.

    Exit codes: 0 all of them do, 1 some do not.
    """
    with _exit_codes(), _progress() as progress:
        from grader.assignment import find_assignment
        from grader.sandbox.sandbox import Zygote

        found = find_assignment(assignment)
        _refuse_unwritable(json_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote:
            with _interrupts_held():
                from grader.verify import verify

            verification = verify(found, zygote, jobs=jobs, progress=progress)
        progress("")
        if json_file:
            _write(json_file, verification.to_json())
        if json_file != "-":
            from grader.render.verification import render_verification

            render_verification(verification, Console())
    raise typer.Exit(PASSED if verification.perfect else NOT_PASSED)


@data_sets.callback()
def data(context: typer.Context) -> None:
    """Find and fetch the data sets that trainings use; alone it lists them."""
    if context.invoked_subcommand is None:
        list_data_sets()


@data_sets.command("list")
def list_data_sets(
    json_file: Annotated[str, typer.Option("--json", help="Write the list as JSON here, - for standard output.")] = "",
) -> None:
    """Tell which data sets are found, and where they came from."""
    import json
    from dataclasses import asdict

    with _exit_codes():
        from grader.render.text import plain

        _refuse_unwritable(json_file)
        with _interrupts_held():
            from grader.training.inventory import found_data_sets

        found = found_data_sets()
        if json_file:
            _write(json_file, json.dumps([asdict(each) for each in found], indent=1) + "\n")
        if json_file != "-":
            for each in found:
                print(f"{each.name:14}{plain(each.problem or f'{each.folder} ({each.origin})')}")


@data_sets.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones.", show_default="FashionMNIST")] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="A folder on the web that has the files, instead of the public ones."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to make NAME/raw in.", show_default="the cache")
    ] = None,
) -> None:
    """Fetch data sets from the public mirrors, and check them.

    Exit codes: 0 they are there, 2 no mirror has a file right, or the folder cannot be written.
    """
    with _exit_codes(), _progress() as progress:
        from grader.render.text import plain
        from grader.training.mirrors import fetch

        for name in names or ["FashionMNIST"]:
            place = fetch(name, into, mirror or (), progress)
            progress("")
            print(f"{name:14}{plain(str(place.folder))}")


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn our errors into one clear line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show Korean still gets its report
    try:
        yield
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except GraderError as error:
        _fail(f"the grader failed, not the submission: {error}", SYSTEM_FAULT)
    except (OSError, MemoryError) as error:
        _fail(f"this machine failed, not the submission: {type(error).__name__}: {error}", SYSTEM_FAULT)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Answer Ctrl-C after an import: torch's tries things out, and takes an interrupt for one that did not work."""
    answer = signal.getsignal(signal.SIGINT)
    if answer is not signal.default_int_handler:  # whoever started us wants no interrupts
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, answer)
    if held:
        raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    from grader.render.text import plain

    # File names and what a student's code said may hold what a terminal would obey.
    text = plain(message)
    print("grader:", " ".join(text.split()) if code == WRONG_INPUT else text, file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done on a terminal, and nothing where nobody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    from grader.render.text import line

    with console.status("reading") as status:

        def show(what: str) -> None:
            if not what:
                return status.stop()
            status.start()  # it may have been stopped by a part of the work that ended
            # As text, because names of files may hold what rich takes for markup.
            return status.update(Text(line(what), overflow="ellipsis", no_wrap=True))

        yield show


def _refuse_unwritable(*files: str) -> None:
    """Say before the work, not after it, that a report has nowhere to go."""
    if len(set(files)) < len(files) and any(files):
        raise InputError(f"both reports would go to {max(files)}: give --json and --html different files")
    for file in filter(None, files):
        if file != "-" and (not Path(file).absolute().parent.is_dir() or Path(file).is_dir()):
            raise InputError(f"cannot write the report to {file}: give a file in a folder that exists")


def _write(file: str, text: str) -> None:
    if file == "-":
        # Bytes, because JSON is UTF-8 whatever the terminal's encoding is.
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report to {file}: {error.strerror}") from None
