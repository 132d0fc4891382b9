"""Makes the student bundle of an assignment: one zip, or one folder, that Python runs (docs/bundle.md)."""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from grader.assignment import Assignment, Item
from grader.authoring.bundling.check.bundle import CASES, fingerprint_mistake, judge_change
from grader.authoring.bundling.encoding import encode_steps
from grader.authoring.bundling.recording import Unrecordable, record_steps
from grader.errors import AssignmentError, InputError
from grader.judging.loading import Rubric, load_rubric
from grader.judging.local import LocalStudent
from grader.models import modules
from grader.student import Student, StudentFault
from grader.testing.cases import Draw
from grader.testing.failures import Absent

__all__ = ["Bundled", "bundle", "write_bundle"]

# Whatever a submission's cases are drawn from, it is not this.
_SEED = "the student bundle"
_SECONDS = 60  # for a known mistake
_MADE_ON = (1980, 1, 1, 0, 0, 0)  # the same bundle is the same bytes

_RUN = '''"""Checks a notebook: `python {name} hw.ipynb`, of the folder or of the zip."""

import sys

import check
from check.command import main

if __name__ == "__main__":
    sys.exit(main(check.own(), sys.argv[1:]))
'''

_README = """\
# {title}: check your own work

Python runs this folder, or the zip that it came in; all that it needs is PyTorch, and no network.

    python {name}.zip hw.ipynb              # the zip as it is; {name} where you unpacked it
    python {name}.zip hw.ipynb --hint 2     # what goes wrong; 3 shows the inputs
    python {name}.zip hw.ipynb --item {item}

In a notebook:

    import sys
    sys.path.insert(0, "{name}.zip")
    import check
    check.{example}({example})

Your cells run in this process, as in Jupyter, and each may take a minute (`--seconds`). Exit codes: 0 all of it is
right, 1 some is not, 2 the command is wrong.

What it says is advice: the course grades with other inputs, and looks closer. `unclear` means that your work is put
together in another way than the book's, which may be as right.

## Checked here

{items}

## Left to the course's grader

{left_out}
"""


@dataclass(frozen=True)
class Bundled:
    """A bundle's files by their paths, and the visible items that it leaves out, with the reasons."""

    files: Mapping[str, bytes]
    left_out: Mapping[str, str]


def bundle(
    assignment: Assignment,
    only: Collection[str] | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Bundled:
    """Record the visible items of an assignment.

    Args:
        assignment: with a reference, from which the answers come.
        only: ids of the items that are recorded; None for all that are visible.
        progress: told which item is recorded.

    Raises:
        AssignmentError: there is no reference, or it does not pass a test.
    """
    rubric = load_rubric(assignment)
    student = LocalStudent(rubric.solution.namespace())
    recorded: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    items = [item for item in assignment.items if item.visible and (only is None or item.id in only)]
    with torch.random.fork_rng(devices=[]), _one_thread():
        for item in items:
            progress(f"recording {item.id}")
            try:
                recorded.append(_recorded(item, rubric, student))
            except Unrecordable as why:
                left_out[item.id] = str(why)
    if not recorded:
        raise InputError(f"{assignment.name} has no visible item that can be recorded: there is nothing to hand out")
    content = {"title": assignment.title, "items": recorded, "left_out": left_out}
    return Bundled(dict(_files(assignment, content)), left_out)


def write_bundle(bundled: Bundled, out: Path) -> None:
    """Write a bundle as a zip where the name says so, else as a folder.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        if out.suffix == ".zip":
            out.write_bytes(_zipped(bundled.files))
            return
        out.mkdir()
        for name, content in bundled.files.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(content)
    except FileExistsError:
        raise InputError(f"{out} exists already: take it away, or give another --out") from None
    except OSError as error:
        raise InputError(f"cannot write the bundle to {out}: {error.strerror}; give another --out") from None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: cases are small, and the same sums come out whatever the machine is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _recorded(item: Item, rubric: Rubric, student: Student) -> dict[str, Any]:
    if item.by_person:
        raise Unrecordable("a person marks it")
    if item.recipes:
        raise Unrecordable("it is earned by training")
    if not item.names:
        raise Unrecordable("it looks at the values that the notebook's cells leave")
    cases = []
    for test in _tests(item, rubric):
        for description, asked in _cases(test, Draw(f"{_SEED}\n{item.id}")):
            try:
                steps = record_steps(asked, student)
            except (AssertionError, StudentFault, Absent) as error:
                raise AssignmentError(
                    f"{rubric.assignment.name}: the model solution does not pass {item.id} ({error}): "
                    "see grader rubric verify"
                ) from error
            cases.append({"description": description, "steps": list(encode_steps(steps))})
    made = {"id": item.id, "section": item.section, "title": item.title, "names": list(item.names), "cases": cases}
    return {**made, "mistakes": list(_mistakes(made, rubric))}


def _mistakes(item: Mapping[str, Any], rubric: Rubric) -> Iterator[dict[str, Any]]:
    """Give the known mistakes that these cases catch: their names, and how they answer each case."""
    for mistake in rubric.misconceptions:
        if item["id"] in mistake.breaks:
            wrong, unclear = judge_change(item, rubric.namespace(mistake), _SECONDS)
            if wrong and not unclear:
                yield {"says": f"{mistake.says}; {mistake.look}", "marks": fingerprint_mistake(wrong)}


def _tests(item: Item, rubric: Rubric) -> list[Callable[..., None]]:
    found = [thing for module in rubric.tests.values() for thing in vars(module).values()]
    return [thing for thing in found if callable(thing) and getattr(thing, "item", "") == item.id]


def _cases(test: Callable[..., None], draw: Draw) -> Iterator[tuple[str, Callable[[Student], None]]]:
    """Give what is asked in each case, with the case's description."""
    if hasattr(test, "case_test"):
        for case in test.__dict__["cases"](draw):
            yield case.description, partial(test.__dict__["case_test"], case=case)
        return
    given = {"draw": draw, "remark": lambda _: None}
    asked = inspect.signature(test).parameters
    yield "", partial(test, **{name: value for name, value in given.items() if name in asked})


def _files(assignment: Assignment, content: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Give a bundle's files: what runs it is this package's own `check`, which needs nothing else of the grader."""
    package = Path(__file__).with_name("check")
    sources = {path.name: path for path in sorted(package.glob("*.py"))}
    sources["modules.py"] = Path(modules.__file__)
    yield "README.md", _readme(assignment, content).encode("utf-8")
    yield "__main__.py", _RUN.format(name=f"{assignment.name}-check").encode("utf-8")
    for name, path in sorted(sources.items()):
        text = path.read_text(encoding="utf-8")
        text = text.replace("grader.authoring.bundling.check", "check")
        text = text.replace("from grader.models import modules", "from check import modules")
        yield f"check/{name}", text.encode("utf-8")
    yield f"check/{CASES}", json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _MADE_ON)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            written.writestr(entry, content)
    return archive.getvalue()


def _readme(assignment: Assignment, content: Mapping[str, Any]) -> str:
    """Return what a student reads first."""
    name = f"{assignment.name}-check"
    example = content["items"][0]["names"][0]
    return _README.format(
        title=assignment.title,
        name=name,
        example=example,
        item=content["items"][0]["id"],
        items="\n".join(f"- `{item['id']}`: {item['title']}" for item in content["items"]),
        left_out="\n".join(f"- `{item}`: {why}" for item, why in content["left_out"].items()) or "Nothing.",
    )
