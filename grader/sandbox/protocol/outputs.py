"""The outputs of cells as plain data in nbformat's form: text, pictures and inert HTML, within limits.

The sandbox selects and cuts outputs, so that little is sent. The trusted side applies the same code again, because what
arrives may be forged. Anything of another form is dropped and the run goes on: a forgery harms only the student's own
outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.markup import sanitise_html

__all__ = ["CUT", "KeptOutputs"]

CUT: Mapping[str, Any] = {
    "output_type": "display_data",
    "data": {"text/plain": "[the grader kept no more of what this cell showed]"},
    "metadata": {},
}
_MOST_OUTPUTS = 100  # of a cell, after joining streams
_MOST_TRACEBACK = 20_000  # characters, from the end
_MOST_NAME = 200
_BYTES_OF_FORM = 200  # the size of an output without its text
_BASE64 = ("image/png", "image/jpeg")
_SVG = "image/svg+xml"
_HTML = "text/html"
_MARKUP = ("text/markdown", "text/latex")  # as text: who shows it leaves its HTML out
_MOST_HTML = 300_000  # characters; a longer table is shown as text
_MOST_ALTERNATIONS = 50  # of standard output and standard error, whose order is kept
_UNKNOWN = "[an output of a kind that the grader does not keep]"
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PROCESS = re.compile(r"(?<=/ipykernel_)\d+(?=/)")  # in warnings, the folder of a cell contains the kernel's pid
_IS_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


@dataclass
class KeptOutputs:
    """The outputs of cells that are kept, by notebook and cell.

    If a cell is run again because a kernel broke, its outputs of the first run are kept.
    """

    limits: Limits
    cells: dict[tuple[str, int], tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)

    def keep(self, file: str, cell: int, outputs: Any) -> tuple[Mapping[str, Any], ...]:
        """Keep and return those of a cell's outputs that are well formed and within the limits."""
        if (file, cell) not in self.cells:
            left = self._left.get(file, self.limits.notebook_output_bytes)
            most = self.limits.cell_output_bytes
            kept = _limit_outputs(outputs if isinstance(outputs, list | tuple) else (), most, min(2 * most, left))
            self.cells[file, cell] = kept
            self._left[file] = left - _count(kept)
        return self.cells[file, cell]

    def update(self, file: str, cell: int, outputs: Any) -> tuple[Mapping[str, Any], ...]:
        """Replace and return the outputs of an earlier cell, which a later one updated, within the same limits."""
        former = self.cells.pop((file, cell), None)
        if former is None:
            return ()
        self._left[file] += _count(former)
        return self.keep(file, cell, outputs)


def _limit_outputs(outputs: Sequence[Any], most: int, room: int) -> tuple[Mapping[str, Any], ...]:
    """Return outputs within the limits. If something is cut, the last output says so.

    Args:
        outputs: a cell's outputs.
        most: the most bytes of one output.
        room: the most bytes of all outputs together.
    """
    cut = any(output == CUT for output in outputs[-1:])
    known = (_select(output) for output in (outputs[:-1] if cut else outputs) if isinstance(output, Mapping))
    joined = list(_join_streams(output for output in known if output))
    kept: list[Mapping[str, Any]] = []
    # The last one is often the error.
    for output in joined if len(joined) <= _MOST_OUTPUTS else [*joined[: _MOST_OUTPUTS - 1], joined[-1]]:
        output = _sanitise(output, room)
        fitting = _fit(output, min(most, room) - _BYTES_OF_FORM)
        cut = cut or fitting is not output
        if fitting:
            kept.append(fitting)
            room -= _estimate_size(fitting)
    return (*kept, CUT) if cut or len(joined) > _MOST_OUTPUTS else tuple(kept)


def _select(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the parts of an output that are kept, or None if its kind is unknown."""
    match output.get("output_type"):
        case "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return {"output_type": "stream", "name": name, "text": _read_text(output.get("text"))}
        case "error":
            lines = output.get("traceback")
            trace = "\n".join(_read_text(line) for line in lines) if isinstance(lines, list | tuple) else ""
            return {
                "output_type": "error",
                "ename": _read_text(output.get("ename"))[:_MOST_NAME],
                "evalue": _read_text(output.get("evalue"))[:_MOST_TRACEBACK],
                "traceback": [trace[-_MOST_TRACEBACK:]] if trace else [],
            }
        case "execute_result":
            shown = {"output_type": "execute_result", "data": _read_data(output.get("data")), "metadata": {}}
            return {**shown, "execution_count": None}  # set in the notebook, so that it is the cell's own
        case "display_data":
            return {"output_type": "display_data", "data": _read_data(output.get("data")), "metadata": {}}
    return None


def _read_data(stored: Any) -> dict[str, str]:
    """Return the representations of an output that are kept: its text, a picture, markup. Its HTML is not inert yet."""
    data = stored if isinstance(stored, Mapping) else {}
    kept = {"text/plain": _read_text(data.get("text/plain"))}
    for kind in _BASE64:
        picture = data.get(kind)
        if isinstance(picture, str) and _IS_BASE64.fullmatch(picture):
            kept[kind] = picture
    for kind in (_SVG, _HTML, *_MARKUP):
        if text := _read_text(data.get(kind)):
            kept[kind] = text
    return kept if any(kept.values()) else {"text/plain": _UNKNOWN}


def _sanitise(output: dict[str, Any], room: int) -> dict[str, Any]:
    """Return an output whose HTML is inert, or left out if it is too long for a look at it."""
    source = output.get("data", {}).get(_HTML)
    if not source:
        return output
    markup = sanitise_html(source) if len(source) <= min(room, _MOST_HTML) else ""
    rest = {kind: text for kind, text in output["data"].items() if kind != _HTML}
    return {**output, "data": {**rest, _HTML: markup} if markup else rest}


def _read_text(stored: Any) -> str:
    """Return text, which may be a list of lines, without terminal control sequences."""
    if isinstance(stored, list | tuple):
        stored = "".join(line for line in stored if isinstance(line, str))
    if not isinstance(stored, str):
        return ""
    # A lone surrogate can be sent in a frame, but cannot be written to a file.
    return _PROCESS.sub("", _ESCAPES.sub("", stored)).encode("utf-8", "replace").decode()


def _join_streams(outputs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Join what was printed to the same stream in a row, because the number of its messages depends on timing.

    A cell that goes on changing between the streams gets them one after the other, standard output first.
    """
    written: list[tuple[str, str]] = []
    for output in outputs:
        if output["output_type"] == "stream":
            written.append((output["name"], output["text"]))
            continue
        yield from _flush_streams(written)
        yield output
    yield from _flush_streams(written)


def _flush_streams(written: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    texts = [(name, "".join(text for _, text in row)) for name, row in groupby(written, key=itemgetter(0))]
    written.clear()
    ordered, rest = texts[:_MOST_ALTERNATIONS], sorted(texts[_MOST_ALTERNATIONS:], key=itemgetter(0), reverse=True)
    for name, row in groupby([*ordered, *rest], key=itemgetter(0)):
        if text := "".join(text for _, text in row):
            yield {"output_type": "stream", "name": name, "text": text}


def _fit(output: dict[str, Any], room: int) -> dict[str, Any] | None:
    """Return an output of at most `room` bytes unchanged, else only as much of its text as fits, or None."""
    if _estimate_size(output) - _BYTES_OF_FORM <= room:
        return output
    match output["output_type"]:
        case "stream":
            text = _cut_text(output["text"], room)
            return {**output, "text": text} if text else None
        case "display_data" | "execute_result":
            text = _cut_text(output["data"].get("text/plain", ""), room)
            return {**output, "data": {"text/plain": text}} if text else None
    return None


def _count(outputs: Iterable[Mapping[str, Any]]) -> int:
    return sum(_estimate_size(output) for output in outputs if output is not CUT)


def _cut_text(text: str, most: int) -> str:
    return text.encode()[: max(most, 0)].decode("utf-8", "ignore")


def _estimate_size(output: Mapping[str, Any]) -> int:
    """Return roughly how many bytes an output takes in a file."""
    texts = [*output.get("data", {}).values(), *output.get("traceback", ())]
    texts += [output.get(key) for key in ("text", "ename", "evalue")]
    return _BYTES_OF_FORM + sum(len(text.encode()) for text in texts if isinstance(text, str))
