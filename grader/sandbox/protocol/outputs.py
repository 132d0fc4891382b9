"""What cells showed, as plain data in nbformat's form: text and pictures, within bounds.

It is picked and cut in the sandbox, so that little is sent, and by the same code on the trusted side, where whatever
arrives may be forged: that harms nobody but its forger, so what is not of this form is left out, and the run goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.sandbox.protocol.limits import Limits

__all__ = ["CUT", "KeptOutputs"]

CUT: Mapping[str, Any] = {
    "output_type": "display_data",
    "data": {"text/plain": "[the grader kept no more of what this cell showed]"},
    "metadata": {},
}
_MOST_OUTPUTS = 100  # of a cell, after streams were joined
_MOST_TRACEBACK = 20_000  # characters, the last ones
_MOST_NAME = 200
_BYTES_OF_FORM = 200  # what an output takes besides its text
_BASE64 = ("image/png", "image/jpeg")
_SVG = "image/svg+xml"
_UNKNOWN = "[an output that is neither text nor a picture]"
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PROCESS = re.compile(r"(?<=/ipykernel_)\d+(?=/)")  # the folder of a cell in a warning is named after the kernel's
_IS_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


@dataclass
class KeptOutputs:
    """What the cells of notebooks showed.

    Of a cell that is run again, in place of a kernel that broke, what it showed the first time stays.
    """

    limits: Limits
    cells: dict[tuple[str, int], tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)

    def keep(self, file: str, cell: int, outputs: Any) -> tuple[Mapping[str, Any], ...]:
        """Keep of a cell's outputs, whatever they are, those that are well formed and within bounds; return them."""
        if (file, cell) not in self.cells:
            left = self._left.get(file, self.limits.notebook_output_bytes)
            each = self.limits.cell_output_bytes
            kept = _bounded(outputs if isinstance(outputs, list | tuple) else (), each, min(2 * each, left))
            self.cells[file, cell] = kept
            self._left[file] = left - sum(_size(output) for output in kept if output is not CUT)
        return self.cells[file, cell]


def _bounded(outputs: Sequence[Any], each: int, room: int) -> tuple[Mapping[str, Any], ...]:
    """Return outputs of at most so many bytes each and in all; where something is cut, the last one says so."""
    cut = any(output == CUT for output in outputs[-1:])
    known = (_known(output) for output in (outputs[:-1] if cut else outputs) if isinstance(output, Mapping))
    joined = list(_joined(output for output in known if output))
    kept: list[Mapping[str, Any]] = []
    # The last one is often the error.
    for output in joined if len(joined) <= _MOST_OUTPUTS else [*joined[: _MOST_OUTPUTS - 1], joined[-1]]:
        fitting = _fitting(output, min(each, room) - _BYTES_OF_FORM)
        cut = cut or fitting is not output
        if fitting:
            kept.append(fitting)
            room -= _size(fitting)
    return (*kept, CUT) if cut or len(joined) > _MOST_OUTPUTS else tuple(kept)


def _known(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is taken over of one output, None where it is of no kind that is known."""
    match output.get("output_type"):
        case "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return {"output_type": "stream", "name": name, "text": _text(output.get("text"))}
        case "error":
            lines = output.get("traceback")
            trace = "\n".join(_text(line) for line in lines) if isinstance(lines, list | tuple) else ""
            return {
                "output_type": "error",
                "ename": _text(output.get("ename"))[:_MOST_NAME],
                "evalue": _text(output.get("evalue"))[:_MOST_TRACEBACK],
                "traceback": [trace[-_MOST_TRACEBACK:]] if trace else [],
            }
        case "execute_result":
            shown = {"output_type": "execute_result", "data": _data(output.get("data")), "metadata": {}}
            return {**shown, "execution_count": None}
        case "display_data":
            return {"output_type": "display_data", "data": _data(output.get("data")), "metadata": {}}
    return None


def _data(stored: Any) -> dict[str, str]:
    """Return the forms of an output that are shown: its text, and a picture."""
    data = stored if isinstance(stored, Mapping) else {}
    found = {"text/plain": _text(data.get("text/plain"))}
    for kind in _BASE64:
        picture = data.get(kind)
        if isinstance(picture, str) and _IS_BASE64.fullmatch(picture):
            found[kind] = picture
    if drawing := _text(data.get(_SVG)):
        found[_SVG] = drawing
    return found if any(found.values()) else {"text/plain": _UNKNOWN}


def _text(stored: Any) -> str:
    """Return text, which may be a list of its lines, without what commands a terminal."""
    if isinstance(stored, list | tuple):
        stored = "".join(line for line in stored if isinstance(line, str))
    if not isinstance(stored, str):
        return ""
    # Half of a surrogate pair can stand in a frame, but in no file.
    return _PROCESS.sub("", _ESCAPES.sub("", stored)).encode("utf-8", "replace").decode()


def _joined(outputs: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Join what was printed between two other outputs, however many messages it came in: that is a matter of time."""
    written: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for output in outputs:
        if output["output_type"] == "stream":
            written[output["name"]].append(output["text"])
            continue
        yield from _streams(written)
        yield output
    yield from _streams(written)


def _streams(written: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    for name, parts in written.items():
        if text := "".join(parts):
            yield {"output_type": "stream", "name": name, "text": text}
        parts.clear()


def _fitting(output: dict[str, Any], room: int) -> dict[str, Any] | None:
    """Return an output as it is where it has at most so many bytes, else its text as far as it fits, None for none."""
    if _size(output) - _BYTES_OF_FORM <= room:
        return output
    match output["output_type"]:
        case "stream":
            text = _first_bytes(output["text"], room)
            return {**output, "text": text} if text else None
        case "display_data" | "execute_result":
            text = _first_bytes(output["data"]["text/plain"], room)
            return {**output, "data": {"text/plain": text}} if text else None
    return None


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[: max(most, 0)].decode("utf-8", "ignore")


def _size(output: Mapping[str, Any]) -> int:
    """Return about how many bytes an output takes in a file."""
    texts = [*output.get("data", {}).values(), *output.get("traceback", ())]
    texts += [output.get(key) for key in ("text", "ename", "evalue")]
    return _BYTES_OF_FORM + sum(len(text.encode()) for text in texts if isinstance(text, str))
