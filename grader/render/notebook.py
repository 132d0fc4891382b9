"""Render a notebook as part of a page: its text, its code and its harmless outputs.

The author of the notebook is not trusted. Code and text are escaped, and Markdown is rendered without its HTML.
Pictures are embedded as data URLs; SVG is embedded as an image too, so that its scripts do not run. Of HTML, such as a
table, its text and its form are shown (`protocol/markup.py`). Everything else, such as scripts and widgets, is left
out, and its plain text is shown instead.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from grader.render.student_markdown import MAX_MARKDOWN, measure_work, render_student_markdown
from grader.render.templates import load_template
from grader.render.text import sanitise_line, sanitise_text
from grader.sandbox.protocol.markup import sanitise_html

__all__ = ["render_notebook"]

_MAX_CELLS = 2000
_MAX_OUTPUTS = 100  # of a cell
_MAX_TEXT = 20_000  # characters of a cell, or of an output
_MAX_HTML = 300_000  # characters of HTML in an output
_MAX_PICTURE = 2 * 2**20  # bytes of base64
_MAX_TOTAL = 12 * 2**20  # of a page, counting text and pictures
_MAX_FORMATTED = 300_000  # characters of Markdown on a page; to format more takes seconds
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_SVG = "image/svg+xml"
_NOTHING = Markup()
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class _Output:
    """An output of a cell: a picture's URL, markup, or text."""

    kind: str
    text: Markup = _NOTHING
    picture: Markup = _NOTHING  # Markup, because the template shortens plain text
    alternative: str = ""


@dataclass(frozen=True)
class _Cell:
    """One cell, ready for the template; `number` counts from 1, as people do."""

    number: int
    kind: str
    text: Markup
    outputs: tuple[_Output, ...] = ()


@dataclass
class _Budget:
    """The space left on the page."""

    left: int = field(default=_MAX_TOTAL)
    formatted: int = field(default=_MAX_FORMATTED)

    def take(self, size: int) -> bool:
        """Take `size` from the budget. Return False if it does not fit."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def format(self, source: str, attachments: Mapping[str, str]) -> Markup | None:
        """Return Markdown as part of the page. Return None if it is too long or no more is to be formatted."""
        if len(source) > min(MAX_MARKDOWN, self.formatted):
            return None
        rendered = render_student_markdown(source, attachments)
        self.formatted -= measure_work(source, rendered)
        return rendered if self.take(len(rendered)) else Markup("…")


def render_notebook(notebook: Mapping[str, Any], prefix: str = "cell-", most: int = _MAX_TOTAL) -> Markup:
    """Return a notebook as part of a page.

    Args:
        notebook: a notebook in nbformat 4; invalid parts are left out.
        prefix: the beginning of the ids of its cells, to which a cell's number from 1 is added.
        most: the most characters of text and pictures.
    """
    budget = _Budget(most)
    stored = _list(notebook.get("cells"))
    cells = [
        _read_cell(number, cell, budget)
        for number, cell in enumerate(stored[:_MAX_CELLS], 1)
        if isinstance(cell, Mapping)
    ]
    more = max(len(stored) - _MAX_CELLS, 0)
    return Markup(load_template("notebook_body.html.jinja").render(cells=cells, more=more, prefix=prefix))


def _read_cell(number: int, stored: Mapping[str, Any], budget: _Budget) -> _Cell:
    source, kind = _text(stored.get("source")), stored.get("cell_type")
    if kind == "code":
        outputs = _list(stored.get("outputs"))[:_MAX_OUTPUTS]
        shown = (_read_output(output, budget) for output in outputs if isinstance(output, Mapping))
        return _Cell(number, "code", _escape(source, budget), tuple(output for output in shown if output))
    if kind == "markdown":
        rendered = budget.format(source, _attachments(stored.get("attachments")))
        if rendered is not None:
            return _Cell(number, "text", rendered)
    return _Cell(number, "raw", _escape(source, budget))


def _read_output(stored: Mapping[str, Any], budget: _Budget) -> _Output | None:
    match stored.get("output_type"):
        case "stream":
            kind = "stderr" if stored.get("name") == "stderr" else "stdout"
            return _Output(kind, _escape(_resolve_overwriting(_text(stored.get("text"))), budget))
        case "error":
            trace = "\n".join(_strings(_list(stored.get("traceback"))))
            named = f"{_text(stored.get('ename'))}: {_text(stored.get('evalue'))}"
            return _Output("error", _escape(trace or named, budget))
        case "display_data" | "execute_result":
            return _choose_format(stored.get("data"), budget)
    return None


def _choose_format(data: Any, budget: _Budget) -> _Output | None:
    """Return the format of an output that is shown."""
    if not isinstance(data, Mapping):
        return None
    alternative = _text(data.get("text/plain"))
    if (picture := _make_url(data)) and budget.take(len(picture)):
        return _Output("picture", picture=Markup(picture), alternative=sanitise_line(alternative) or "a picture")
    if markup := _read_markup(data, budget):
        return _Output("markup", markup)
    if alternative := alternative or _text(data.get("text/latex")):
        return _Output("result", _escape(alternative, budget))
    kinds = ", ".join(sorted(sanitise_line(str(kind)) for kind in data)[:4])
    return _Output("left-out", escape(sanitise_text(f"left out: {kinds or 'an output'} is not shown here")))


def _read_markup(data: Mapping[str, Any], budget: _Budget) -> Markup | None:
    """Return an output's HTML or Markdown without anything that acts or loads, or None if there is none or too much."""
    source = _text(data.get("text/html"))
    if source and len(source) <= _MAX_HTML and budget.take(len(source)):
        shown = sanitise_html(source.encode("utf-8", "replace").decode())
        if shown and budget.take(len(shown)):
            return Markup(sanitise_text(shown, len(shown)))
    source = _text(data.get("text/markdown"))
    return budget.format(source, {}) if source else None


def _make_url(data: Mapping[str, Any]) -> str:
    """Return a picture as a data URL, "" if there is none or if it is not of the type it claims."""
    for kind, beginning in _PICTURES.items():
        text = _SPACE.sub("", _text(data.get(kind))[: _MAX_PICTURE + 1])
        if not text or len(text) > _MAX_PICTURE:
            continue
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if decoded.startswith(beginning):
            return f"data:{kind};base64,{text}"
    drawing = _text(data.get(_SVG)).encode("utf-8", "replace")
    # An SVG in an image element is inert: its scripts do not run, and it cannot load anything.
    if drawing and len(drawing) <= _MAX_PICTURE:
        return f"data:{_SVG};base64,{base64.b64encode(drawing).decode()}"
    return ""


def _attachments(stored: Any) -> dict[str, str]:
    """Return the data URLs of the pictures attached to a Markdown cell, by name."""
    if not isinstance(stored, Mapping):
        return {}
    urls = ((str(name), _make_url(data)) for name, data in stored.items() if isinstance(data, Mapping))
    return {f"attachment:{quote(name)}": url for name, url in urls if url}


def _escape(text: str, budget: _Budget) -> Markup:
    # As Markup, because the template would shorten plain text like a message.
    return escape(sanitise_text(text, _MAX_TEXT)) if budget.take(min(len(text), _MAX_TEXT)) else Markup("…")


def _resolve_overwriting(text: str) -> str:
    """Return the lines that a terminal would show after lines like progress bars were overwritten."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _text(stored: Any) -> str:
    """Return text, which a notebook may store as a list of lines."""
    return "".join(_strings(stored)) if isinstance(stored, list) else stored if isinstance(stored, str) else ""


def _strings(stored: list[Any]) -> Iterator[str]:
    return (entry for entry in stored if isinstance(entry, str))


def _list(stored: Any) -> list[Any]:
    return stored if isinstance(stored, list) else []
