"""The sandbox runs cells as a stock kernel does: the same outputs in the same order, with the same text and status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.markup import sanitise_html
from tests.support import stock_kernel
from tests.support.fidelity_corpus import CORPUS, CorpusCell
from tests.support.fidelity_differences import DIFFERENCES
from tests.support.paths import ROOT
from tests.support.sandbox_runs import FILE, ran

LIMITS = Limits(cell_seconds=60, submission_seconds=500, cell_output_bytes=200_000)
CELLS = [cell for section in CORPUS.values() for cell in section]
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# What differs between two runs of the same kernel: the patterns, and what stands in their place.
_VOLATILE = (
    (re.compile(r"/tmp/ipykernel_(?:\d+)?/\d+\.py"), "/tmp/ipykernel/cell.py"),
    (re.compile(r"\b(?:0x|object at )[0-9a-f]{6,}"), "address"),
    (re.compile(r"[\d.e+-]+ (?:ns|μs|µs|us|ms|s)\b"), "time"),
    (re.compile(r"\bThread-\d+"), "Thread"),
    (re.compile(r"The slowest run took .* cached\.\n"), ""),  # %timeit, if one of its runs was held up
    (re.compile(r"\s*\n"), "\n"),  # with colours there are more empty lines
)


@dataclass(frozen=True)
class CellRun:
    """How a cell ended, and its outputs in a form that can be compared."""

    ended_well: bool
    outputs: tuple[Any, ...]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[CorpusCell, CellRun]:
    """Return what a stock kernel makes of the corpus."""
    target = tmp_path_factory.mktemp("stock") / "cells.json"
    command = [sys.executable, str(Path(stock_kernel.__file__)), str(target)]
    sources = json.dumps([cell.source for cell in CELLS])
    # Under pytest, ipykernel leaves the descriptors alone.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(command, input=sources, text=True, check=True, capture_output=True, cwd=ROOT, env=environment)
    runs = json.loads(target.read_text())
    return {cell: CellRun(status == "ok", normalise(shown)) for cell, (status, shown) in zip(CELLS, runs, strict=True)}


@pytest.fixture(scope="module")
def own(zygote: Zygote) -> dict[CorpusCell, CellRun]:
    """Return what the sandbox makes of the corpus."""
    with ran(zygote, *[cell.source for cell in CELLS], limits=LIMITS) as run:
        ended_well = [run.execution.cells[FILE, number].status == "ok" for number in range(len(CELLS))]
        return {cell: CellRun(ended_well[i], normalise(run.showed(i))) for i, cell in enumerate(CELLS)}


def normalise(outputs: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Return outputs without colours, addresses and times; the text between two others is sorted by stream."""
    made: list[Any] = []
    printed: dict[str, str] = {}

    def flush() -> None:
        made.extend((name, clean(printed[name])) for name in sorted(printed, reverse=True))
        printed.clear()

    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            printed[output["name"]] = printed.get(output["name"], "") + "".join(output["text"])
            continue
        flush()
        if kind == "error":
            made.append((kind, output["ename"], clean(output["evalue"]), clean("\n".join(output["traceback"]))))
        else:
            made.append((kind, tuple(sorted((key, clean_data(key, value)) for key, value in output["data"].items()))))
    flush()
    return tuple(made)


def clean_data(kind: str, value: Any) -> str:
    if kind.startswith("image/"):
        return "a picture"
    text = "".join(value) if isinstance(value, list) else str(value)
    return clean(sanitise_html(text) if kind == "text/html" else text)


def clean(text: str) -> str:
    text = _ESCAPES.sub("", text)
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("section", CORPUS)
def test_the_cells_of_a_section_end_and_show_as_in_a_stock_kernel(
    section: str, stock: dict[CorpusCell, CellRun], own: dict[CorpusCell, CellRun]
) -> None:
    different = [cell for cell in CORPUS[section] if not cell.differs and own[cell] != stock[cell]]
    shown = [f"{cell.source}\n--- here:\n{own[cell]}\n--- stock:\n{stock[cell]}" for cell in different]
    assert not different, "\n\n".join(shown)


def test_every_difference_that_a_cell_may_show_is_documented() -> None:
    text = (ROOT / "docs" / "notebooks.md").read_text()
    listed = text.partition("## What differs from Jupyter")[2].partition("\n## ")[0]
    items = [" ".join(item.split()) for item in listed.split("\n- ")[1:]]
    assert items == list(DIFFERENCES.values())
