"""The command: run a notebook and print the verdict on each item."""

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

_VERDICTS = ("absent", "wrong", "unclear", "right")  # from worst to best


def main(bundle: Bundle, arguments: Sequence[str]) -> int:
    """Check the notebooks that the arguments name, print the results, and return the exit code."""
    options = _make_parser(bundle).parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "agg")  # draw plots without opening windows
    warnings.simplefilter("ignore")
    known = [item["id"] for item in bundle.items]
    selected = options.item or known
    if unknown := ", ".join(item for item in selected if item not in known):
        print(f"check: nothing is recorded of {unknown}; give one of {', '.join(known)}")
        return WRONG_INPUT
    try:
        results, notices = check_notebooks(bundle, options.notebooks, options.seconds)
    except ValueError as error:
        print(f"check: {error}")
        return WRONG_INPUT
    shown = [result for result in results if result.item in selected]
    for result in shown:
        print("\n".join(describe_item(result, options.hint)))
    for notice in notices:
        print(f"note: {notice}")
    if options.hint < 3 and any(result.verdict == "wrong" for result in shown):
        print(f"more about what is wrong: --hint {options.hint + 1}")
    if bundle.left_out and not options.item:
        print(f"checked by the course's grader only: {', '.join(bundle.left_out)}")
    return RIGHT if all(result.verdict == "right" for result in shown) else NOT_RIGHT


def check_notebooks(bundle: Bundle, paths: Sequence[Path], seconds: float) -> tuple[list[ItemCheck], list[str]]:
    """Run notebooks in this process, and judge each definition as it stands and again at the end; the best counts.

    Args:
        bundle: the recorded cases.
        paths: the notebooks.
        seconds: the time limit for each cell and each item.

    Returns:
        The result for each item, and a sentence for each cell that ended early.

    Raises:
        ValueError: a file is not a notebook.
    """
    best = {result.item: result for result in _start_absent(bundle)}
    notices: list[str] = []
    for path, cells in [(path, read_notebook_cells(path)) for path in paths]:
        for state in run_notebook_cells(cells, bundle.used, seconds):
            if isinstance(state, str):
                notices.append(f"{path.name}, {state}")
                continue
            for result in bundle.judge(state.names, *state.changed, seconds=seconds):
                # Of equal results the last one in a cell counts: it shows the definition as the student left it.
                rank = _VERDICTS.index(result.verdict) - _VERDICTS.index(best[result.item].verdict)
                if rank > 0 or (rank == 0 and state.cell is not None):
                    best[result.item] = replace(result, cell=state.cell)
    return list(best.values()), notices


def describe_item(result: ItemCheck, hint: int) -> Iterator[str]:
    """Yield the lines that describe a result; `hint` 1 says where it goes wrong, 2 what goes wrong, 3 the inputs."""
    location = "" if result.cell is None else f" (cell {result.cell})"
    parts = [result.where, f"read section {result.section} again"] if result.verdict == "wrong" else [result.why]
    text = "; ".join(filter(None, parts))
    yield f"{result.verdict:8} {result.item}{location}" + (f": {text}" if text else "")
    if result.verdict == "wrong" and hint > 1:
        yield f"         {result.why}"
    for name, value in result.shown if hint > 2 else ():
        yield f"         {name}:"
        yield from (f"             {line}" for line in str(value).split("\n"))


def _start_absent(bundle: Bundle) -> list[ItemCheck]:
    return [
        ItemCheck(item["id"], item["section"], "absent", why=f"{item['names'][0]} is not defined")
        for item in bundle.items
    ]


def _make_parser(bundle: Bundle) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="check", description=f"Check {bundle.title} against recorded answers.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK", help="your notebooks (.ipynb)")
    parser.add_argument("--item", action="append", metavar="ID", help="check this item only; may be repeated")
    parser.add_argument(
        "--hint", type=int, choices=(1, 2, 3), default=1, help="1: where, 2: what goes wrong, 3: the inputs"
    )
    parser.add_argument("--seconds", type=float, default=60, help="time limit for each cell (default: 60)")
    return parser
