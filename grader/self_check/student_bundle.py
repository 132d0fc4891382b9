"""Judge a notebook's definitions with the bundle that the course hands out, for `%grader` without a rubric.

A bundle is run by its own code, which is the package `check` inside of it (docs/bundle.md), so this module needs no
assignment, no reference and nothing that students do not have.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from grader.errors import InputError
from grader.results.report import ItemResult, Verdict

__all__ = ["is_bundle", "judge_with_bundle"]

_VERDICTS = {
    "right": Verdict.PASSED,
    "wrong": Verdict.FAILED,
    "unclear": Verdict.PENDING,
    "absent": Verdict.ABSENT,
}
_PACKAGE = "check"


def is_bundle(name: str) -> bool:
    """Tell whether a name is the path of a bundle: a zip, or a folder with the package `check`."""
    path = Path(name)
    return (path.suffix == ".zip" and path.is_file()) or (path / _PACKAGE / "cases.json").is_file()


def judge_with_bundle(
    path: Path, namespace: Mapping[str, Any], wanted: Sequence[str], hint: int
) -> Iterator[tuple[ItemResult, str]]:
    """Yield a result for each item, with the text that the bundle shows for it.

    Args:
        path: the bundle, a zip or a folder.
        namespace: the notebook's names.
        wanted: ids of items or names of definitions; all that are defined if empty.
        hint: how much is told of what is wrong, from 1 to 3.

    Raises:
        InputError: it is no bundle, or has none of these items.
    """
    bundle, results = _load(path)
    known = {item["id"]: item["names"][0] for item in bundle.items}
    unknown = [name for name in wanted if name not in known and name not in known.values()]
    if unknown:
        reason = bundle.left_out.get(unknown[0])
        left = f": {reason}" if reason else f"; it checks {', '.join(known)}"
        raise InputError(f"{path.name} does not check {unknown[0]}{left}")
    chosen = {item for item, name in known.items() if not wanted or item in wanted or name in wanted}
    if not any(known[item] in namespace for item in chosen):
        names = ", ".join(dict.fromkeys(known[item] for item in chosen))
        raise InputError(f"nothing to judge is defined yet: define one of {names}, and run its cell")
    for found in bundle.judge(namespace, *namespace):
        if found.item in chosen:
            yield _make_result(found), "\n".join(results.describe_item(found, hint))


def _load(path: Path) -> tuple[Any, Any]:
    """Return a bundle, and its own module of results. A bundle that was loaded before is replaced."""
    for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
        del sys.modules[name]
    sys.path.insert(0, str(path.resolve()))
    try:
        return import_module(f"{_PACKAGE}.bundle").Bundle.read(path), import_module(f"{_PACKAGE}.results")
    except (ImportError, LookupError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a bundle of `grader assignment bundle`: {error}") from error
    finally:
        sys.path.pop(0)


def _make_result(found: Any) -> ItemResult:
    verdict = _VERDICTS[found.verdict]
    return ItemResult(found.item, found.section, found.item, 0, 0, verdict, found.why or found.verdict)
