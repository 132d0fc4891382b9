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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from grader.render.templates import load_template
from grader.render.text import sanitise_line, sanitise_text
from grader.sandbox.protocol.markup import sanitise_html

__all__ = ["render_markdown_cell", "render_notebook"]

_MAX_CELLS = 2000
_MAX_OUTPUTS = 100  # of a cell
_MAX_TEXT = 20_000  # characters of a cell, or of an output
_MAX_HTML = 300_000  # characters of HTML in an output
_MAX_PICTURE = 2 * 2**20  # bytes of base64
_MAX_TOTAL = 12 * 2**20  # of a page, counting text and pictures
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_SVG = "image/svg+xml"
_SCHEMES = {"http", "https", "mailto"}
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
    """One cell, ready for the template."""

    number: int
    kind: str
    text: Markup
    outputs: tuple[_Output, ...] = ()


@dataclass
class _Budget:
    """The space left on the page."""

    left: int = field(default=_MAX_TOTAL)

    def take(self, size: int) -> bool:
        """Take `size` from the budget. Return False if it does not fit."""
        if size > self.left:
            return False
        self.left -= size
        return True


def render_markdown_cell(text: str) -> Markup:
    """Return Markdown as part of a page, without its HTML, its pictures and links with other schemes."""
    return _render(text, {})


def render_notebook(notebook: Mapping[str, Any]) -> Markup:
    """Return a notebook as part of a page.

    Args:
        notebook: a notebook in nbformat 4; invalid parts are left out.
    """
    budget = _Budget()
    stored = _list(notebook.get("cells"))
    cells = [
        _read_cell(number, cell, budget) for number, cell in enumerate(stored[:_MAX_CELLS]) if isinstance(cell, Mapping)
    ]
    more = max(len(stored) - _MAX_CELLS, 0)
    return Markup(load_template("notebook_body.html.jinja").render(cells=cells, more=more))


def _read_cell(number: int, stored: Mapping[str, Any], budget: _Budget) -> _Cell:
    source, kind = _text(stored.get("source")), stored.get("cell_type")
    if kind == "code":
        outputs = _list(stored.get("outputs"))[:_MAX_OUTPUTS]
        shown = (_read_output(output, budget) for output in outputs if isinstance(output, Mapping))
        return _Cell(number, "code", _escape(source, budget), tuple(output for output in shown if output))
    if kind == "markdown" and len(source) <= _MAX_TEXT and budget.take(len(source)):
        return _Cell(number, "text", _render(source, _attachments(stored.get("attachments"), budget)))
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
    if picture := _make_url(data, budget):
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
    if source and len(source) <= _MAX_HTML:
        shown = sanitise_html(source.encode("utf-8", "replace").decode())
        if shown and budget.take(len(shown)):
            return Markup(sanitise_text(shown, len(shown)))
    source = _text(data.get("text/markdown"))
    if source and len(source) <= _MAX_TEXT:
        rendered = _render(source, {})
        if budget.take(len(rendered)):
            return rendered
    return None


def _make_url(data: Mapping[str, Any], budget: _Budget) -> str:
    """Return a picture as a data URL, "" if there is none or if it is not of the type it claims."""
    for kind, beginning in _PICTURES.items():
        text = _SPACE.sub("", _text(data.get(kind))[: _MAX_PICTURE + 1])
        if not text or len(text) > _MAX_PICTURE:
            continue
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if decoded.startswith(beginning) and budget.take(len(text)):
            return f"data:{kind};base64,{text}"
    drawing = _text(data.get(_SVG)).encode("utf-8", "replace")
    # An SVG in an image element is inert: its scripts do not run, and it cannot load anything.
    if drawing and len(drawing) <= _MAX_PICTURE and budget.take(len(drawing)):
        return f"data:{_SVG};base64,{base64.b64encode(drawing).decode()}"
    return ""


def _attachments(stored: Any, budget: _Budget) -> dict[str, str]:
    """Return the data URLs of the pictures attached to a Markdown cell, by name."""
    if not isinstance(stored, Mapping):
        return {}
    urls = ((str(name), _make_url(data, budget)) for name, data in stored.items() if isinstance(data, Mapping))
    return {f"attachment:{quote(name)}": url for name, url in urls if url}


def _render(source: str, attachments: Mapping[str, str]) -> Markup:
    # Terminal commands and marks that change the writing direction are made visible here too.
    cleaned = sanitise_text(source.encode("utf-8", "replace").decode(), _MAX_TEXT)
    return Markup(_markdown().render(cleaned, {"attachments": attachments}))


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _is_allowed  # type: ignore[assignment, method-assign] # the documented way to replace it
    parser.core.ruler.push("lower_headings", _lower_headings)
    parser.add_render_rule("image", _render_image)
    parser.add_render_rule("link_open", _render_link)
    return parser


def _is_allowed(address: str) -> bool:
    try:
        return urlsplit(address.strip()).scheme.lower() in _SCHEMES or address.startswith("attachment:")
    except ValueError:
        return False


def _lower_headings(state: Any) -> None:
    """Lower a notebook's headings by one level, below the title of the page."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 1, 6)}"


def _render_image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    """Show a picture attached to the cell. A remote picture is not loaded: its server would learn who reads this."""
    token = tokens[index]
    words = self.renderInlineAsText(token.children, options, environment) if token.children else ""
    url = environment["attachments"].get(str(token.attrs.get("src", "")))
    if url:
        return str(Markup('<img src="{}" alt="{}">').format(url, words or "a picture"))
    return str(Markup('<span class="quiet">[picture from elsewhere: {}]</span>').format(words or "without a name"))


def _render_link(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, environment)


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
