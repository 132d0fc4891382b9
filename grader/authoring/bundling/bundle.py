"""Build the student bundle of an assignment: a zip or a folder that Python runs (docs/bundle.md)."""

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

from grader import place
from grader.assignment import Assignment, Item
from grader.authoring.bundling.check.bundle import CASES
from grader.authoring.bundling.check.judging import fingerprint_mistake, judge_change
from grader.authoring.bundling.encoding import encode_steps
from grader.authoring.bundling.recording import Unrecordable, record_steps
from grader.errors import AssignmentError, InputError
from grader.judging.loading import Rubric, load_rubric
from grader.judging.local import LocalStudent
from grader.models import modules
from grader.student import Student, StudentFault
from grader.testing.cases import Draw
from grader.testing.failures import Absent

__all__ = ["BuiltBundle", "bundle", "write_bundle"]

# Public, because students have the recorded inputs. The cases of submissions come from an installation key instead.
_SEED = "the student bundle"
_MISTAKE_SECONDS = 60  # time limit for a known mistake
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that the same bundle has the same bytes

# Python 2 can read it, so that an old one says what is missing instead of a syntax error.
_RUN = '''"""Check a notebook: run `python {name} hw.ipynb` with this folder or with the zip."""

import os
import sys

NEEDS = "check: this needs Python 3.9 or newer and PyTorch; "

if sys.version_info < (3, 9):
    sys.stderr.write(NEEDS + "this is Python %d.%d\\n" % sys.version_info[:2])
    sys.exit(2)

import importlib.util

if importlib.util.find_spec("torch") is None:
    sys.stderr.write(NEEDS + "%s has no torch: pip install torch\\n" % sys.executable)
    sys.exit(2)

from pathlib import Path

from check.command import main

if __name__ == "__main__":
    sys.exit(main(Path(os.path.abspath(__file__)).parent, sys.argv[1:]))
'''

_README = """\
# {title}: check your own work

Run this folder, or the zip it came in, with Python 3.9 or newer. It needs PyTorch, and no network.

    python {name}.zip hw.ipynb              # or {name}, if you unpacked the zip
    python {name}.zip hw.ipynb --hint 2     # what goes wrong; --hint 3 shows the inputs
    python {name}.zip hw.ipynb --item {item}

In a notebook:

    import sys
    sys.path.insert(0, "{name}.zip")
    import check
    check.{example}({example})

Your cells run on this machine, as in Jupyter. Each statement may take a minute; `--seconds` changes that, and what
takes longer is stopped. If the package d2l is not installed, its classes have stand-ins, and nothing is trained. Exit
codes: 0 everything is right, 1 something is not, 2 the command is wrong.

The result is advice. The course grades with other inputs, and checks more. `unclear` means that your work is organised
differently from the book's, which may be just as right.

## Checked here

{items}

## Checked by the course's grader only

{left_out}
"""


@dataclass(frozen=True)
class BuiltBundle:
    """The files of a bundle by path, and the visible items that it leaves out, each with the reason."""

    files: Mapping[str, bytes]
    left_out: Mapping[str, str]


def bundle(
    assignment: Assignment,
    only: Collection[str] | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> BuiltBundle:
    """Record the visible items of an assignment.

    Args:
        assignment: an assignment with a reference, which gives the answers.
        only: ids of the items to record; None for all visible ones.
        progress: called with a few words for each item.

    Raises:
        AssignmentError: there is no reference, or it does not pass a test.
        InputError: no visible item can be recorded.
    """
    rubric = load_rubric(assignment)
    student = LocalStudent(rubric.solution.namespace())
    recorded: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    items = [item for item in assignment.items if item.visible and (only is None or item.id in only)]
    with torch.random.fork_rng(devices=[]), _use_one_thread():
        for item in items:
            progress(f"recording {item.id}")
            try:
                recorded.append(_record_item(item, rubric, student))
            except Unrecordable as reason:
                left_out[item.id] = str(reason)
    if not recorded:
        raise InputError(f"{assignment.name} has no visible item that can be recorded: there is nothing to hand out")
    content = {"title": assignment.title, "items": recorded, "left_out": left_out}
    return BuiltBundle(dict(_make_files(assignment, content)), left_out)


def write_bundle(built: BuiltBundle, out: Path) -> None:
    """Write a bundle as a zip if `out` ends in .zip, else as a folder.

    Raises:
        InputError: it cannot be written there.
    """
    try:
        if out.suffix == ".zip":
            out.write_bytes(_make_zip(built.files))
            return
        out.mkdir()
        for name, content in built.files.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(content)
    except FileExistsError:
        raise InputError(f"{out} exists already: remove it, or give another --out") from None
    except OSError as error:
        raise InputError(f"cannot write the bundle to {out}: {error.strerror}; give another --out") from None


@contextmanager
def _use_one_thread() -> Iterator[None]:
    """Compute on one thread: the cases are small, and sums then do not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _record_item(item: Item, rubric: Rubric, student: Student) -> dict[str, Any]:
    if item.by_person:
        raise Unrecordable("a person marks it")
    if item.recipes:
        raise Unrecordable("it is earned by training")
    if not item.names:
        raise Unrecordable("it looks at the values that the notebook's cells leave")
    cases = []
    for test in _list_tests(item, rubric):
        for description, run in _list_cases(test, Draw(f"{_SEED}\n{item.id}")):
            try:
                steps = record_steps(run, student)
            except (AssertionError, StudentFault, Absent) as error:
                raise AssignmentError(
                    f"{rubric.assignment.name}: the model solution does not pass {item.id} ({error}): "
                    "see grader rubric verify"
                ) from error
            cases.append({"description": description, "steps": list(encode_steps(steps))})
    encoded = {"id": item.id, "section": item.section, "title": item.title, "names": list(item.names), "cases": cases}
    return {**encoded, "mistakes": list(_list_mistakes(encoded, rubric))}


def _list_mistakes(item: Mapping[str, Any], rubric: Rubric) -> Iterator[dict[str, Any]]:
    """Yield the known mistakes that these cases catch: what they say, and a fingerprint of their answers."""
    for mistake in rubric.misconceptions:
        if item["id"] in mistake.breaks:
            wrong, unclear = judge_change(item, rubric.namespace(mistake), _MISTAKE_SECONDS)
            if wrong and not unclear:
                yield {"says": f"{mistake.says}; {mistake.look}", "marks": fingerprint_mistake(wrong)}


def _list_tests(item: Item, rubric: Rubric) -> list[Callable[..., None]]:
    attributes = [attribute for module in rubric.tests.values() for attribute in vars(module).values()]
    return [test for test in attributes if callable(test) and getattr(test, "item", "") == item.id]


def _list_cases(test: Callable[..., None], draw: Draw) -> Iterator[tuple[str, Callable[[Student], None]]]:
    """Yield the description of each case of a test, and the function that runs the test with it."""
    if hasattr(test, "case_test"):
        for case in test.__dict__["cases"](draw):
            yield case.description, partial(test.__dict__["case_test"], case=case)
        return
    available = {"draw": draw, "remark": lambda _: None}
    parameters = inspect.signature(test).parameters
    yield "", partial(test, **{name: value for name, value in available.items() if name in parameters})


def _make_files(assignment: Assignment, content: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a bundle. It runs this package's `check`, which needs nothing else of the grader."""
    package = Path(__file__).with_name("check")
    sources = {path.name: path for path in sorted(package.glob("*.py"))}
    sources |= {Path(str(shared.__file__)).name: Path(str(shared.__file__)) for shared in (modules, place)}
    yield "README.md", _render_readme(assignment, content).encode("utf-8")
    yield "__main__.py", _RUN.format(name=f"{assignment.name}-check").encode("utf-8")
    for name, path in sorted(sources.items()):
        text = path.read_text(encoding="utf-8")
        text = text.replace("grader.authoring.bundling.check", "check")
        text = text.replace("from grader.models import modules", "from check import modules")
        text = text.replace("from grader.place import", "from check.place import")
        yield f"check/{name}", text.encode("utf-8")
    yield f"check/{CASES}", json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8")


def _make_zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _render_readme(assignment: Assignment, content: Mapping[str, Any]) -> str:
    name = f"{assignment.name}-check"
    example = content["items"][0]["names"][0]
    return _README.format(
        title=assignment.title,
        name=name,
        example=example,
        item=content["items"][0]["id"],
        items="\n".join(f"- `{item['id']}`: {item['title']}" for item in content["items"]),
        left_out="\n".join(f"- `{item}`: {reason}" for item, reason in content["left_out"].items()) or "Nothing.",
    )
