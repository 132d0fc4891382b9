"""The command: runs a notebook and says what is right in it."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from grader.authoring.bundling.check.bundle import Bundle, ItemCheck
from grader.authoring.bundling.check.cells import read_notebook_cells, run_notebook_cells

__all__ = ["check_notebooks", "describe_item", "main"]

RIGHT, NOT_RIGHT, WRONG_INPUT = 0, 1, 2

_BETTER = ("absent", "wrong", "unclear", "right")


def main(bundle: Bundle, arguments: Sequence[str]) -> int:
    """Check the notebooks that the arguments name, print what is found, and return the exit code."""
    options = _options(bundle).parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures are drawn, and no window opens
    warnings.simplefilter("ignore")
    known = [item["id"] for item in bundle.items]
    wanted = options.item or known
    if unknown := ", ".join(item for item in wanted if item not in known):
        print(f"check: nothing is recorded of {unknown}; give one of {', '.join(known)}")
        return WRONG_INPUT
    try:
        results, notices = check_notebooks(bundle, options.notebooks, options.seconds)
    except ValueError as error:
        print(f"check: {error}")
        return WRONG_INPUT
    shown = [result for result in results if result.item in wanted]
    for result in shown:
        print("\n".join(describe_item(result, options.hint)))
    for notice in notices:
        print(f"note: {notice}")
    if options.hint < 3 and any(result.verdict == "wrong" for result in shown):
        print(f"more about what is wrong: --hint {options.hint + 1}")
    if bundle.left_out and not options.item:
        print(f"left to the course's grader: {', '.join(bundle.left_out)}")
    return RIGHT if all(result.verdict == "right" for result in shown) else NOT_RIGHT


def check_notebooks(bundle: Bundle, paths: Sequence[Path], seconds: float) -> tuple[list[ItemCheck], list[str]]:
    """Run notebooks in this process; each definition is judged as it stands, and once more at the end; the best counts.

    Raises:
        ValueError: a file is no notebook.
    """
    best = {result.item: result for result in _absent(bundle)}
    notices: list[str] = []
    for path, cells in [(path, read_notebook_cells(path)) for path in paths]:
        for moment in run_notebook_cells(cells, bundle.used, seconds):
            if isinstance(moment, str):
                notices.append(f"{path.name}, {moment}")
                continue
            for result in bundle.judged(moment.names, *moment.changed, seconds=seconds):
                # Among equals the last, because that is where the student left it.
                rank = _BETTER.index(result.verdict) - _BETTER.index(best[result.item].verdict)
                if rank > 0 or (rank == 0 and moment.cell is not None):
                    best[result.item] = replace(result, cell=moment.cell)
    return list(best.values()), notices


def describe_item(result: ItemCheck, hint: int) -> Iterator[str]:
    """Give the lines that say what was found of an item; `hint` is 1 for where, 2 for what goes wrong, 3 for inputs."""
    place = "" if result.cell is None else f" (cell {result.cell})"
    what = [result.where, f"read section {result.section} again"] if result.verdict == "wrong" else [result.why]
    text = "; ".join(filter(None, what))
    yield f"{result.verdict:8} {result.item}{place}" + (f": {text}" if text else "")
    if result.verdict == "wrong" and hint > 1:
        yield f"         {result.why}"
    for name, value in result.shown if hint > 2 else ():
        yield f"         {name}:"
        yield from (f"             {line}" for line in str(value).split("\n"))


def _absent(bundle: Bundle) -> list[ItemCheck]:
    return [
        ItemCheck(item["id"], item["section"], "absent", why=f"{item['names'][0]} is not defined")
        for item in bundle.items
    ]


def _options(bundle: Bundle) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="check", description=f"Check {bundle.title} against recorded answers.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="what you wrote, .ipynb")
    parser.add_argument("--item", action="append", metavar="ID", help="only this one; may be given several times")
    parser.add_argument(
        "--hint", type=int, choices=(1, 2, 3), default=1, help="1 where, 2 what goes wrong, 3 the inputs"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long a cell may take (60)")
    return parser
