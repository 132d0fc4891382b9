"""A notebook as a part of a page: its text, its code, and the outputs that can do no harm.

Whoever wrote it is not trusted. Code and text are escaped; Markdown is rendered without its HTML; pictures are written
into the page, and one that draws itself (SVG) is loaded as a picture, in which nothing runs. HTML, scripts, widgets and
whatever else a notebook may hold are left out; their plain text is shown instead.
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

__all__ = ["render_markdown_cell", "render_notebook"]

_MOST_CELLS = 2000
_MOST_OUTPUTS = 100  # of a cell
_MOST_TEXT = 20_000  # characters of a cell, or of an output
_MOST_PICTURE = 2 * 2**20  # bytes of base64
_MOST_IN_ALL = 12 * 2**20  # of a page, text and pictures together
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_SVG = "image/svg+xml"
_SCHEMES = {"http", "https", "mailto"}
_NOTHING = Markup()
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class _Output:
    """Something that a cell showed: a picture's address, or text."""

    kind: str
    text: Markup = _NOTHING
    picture: Markup = _NOTHING  # whole: the template cuts what is only text
    alternative: str = ""


@dataclass(frozen=True)
class _Cell:
    """One cell as it is shown."""

    number: int
    kind: str
    text: Markup
    outputs: tuple[_Output, ...] = ()


@dataclass
class _Room:
    """What still fits on the page."""

    left: int = field(default=_MOST_IN_ALL)

    def take(self, size: int) -> bool:
        """Tell whether so much fits, and take it."""
        if size > self.left:
            return False
        self.left -= size
        return True


def render_markdown_cell(text: str) -> Markup:
    """Return Markdown as a part of a page, without the HTML, pictures and addresses that may be in it."""
    return _rendered(text, {})


def render_notebook(notebook: Mapping[str, Any]) -> Markup:
    """Return a notebook as a part of a page.

    Args:
        notebook: as nbformat 4 has it; whatever in it is not as it should be is left out.
    """
    room = _Room()
    stored = _list(notebook.get("cells"))
    cells = [_cell(number, cell, room) for number, cell in enumerate(stored[:_MOST_CELLS]) if isinstance(cell, Mapping)]
    more = max(len(stored) - _MOST_CELLS, 0)
    return Markup(load_template("notebook_body.html.jinja").render(cells=cells, more=more))


def _cell(number: int, stored: Mapping[str, Any], room: _Room) -> _Cell:
    source, kind = _text(stored.get("source")), stored.get("cell_type")
    if kind == "code":
        outputs = _list(stored.get("outputs"))[:_MOST_OUTPUTS]
        shown = (_output(each, room) for each in outputs if isinstance(each, Mapping))
        return _Cell(number, "code", _escaped(source, room), tuple(each for each in shown if each))
    if kind == "markdown" and len(source) <= _MOST_TEXT and room.take(len(source)):
        return _Cell(number, "text", _rendered(source, _attachments(stored.get("attachments"), room)))
    return _Cell(number, "raw", _escaped(source, room))


def _output(stored: Mapping[str, Any], room: _Room) -> _Output | None:
    match stored.get("output_type"):
        case "stream":
            kind = "stderr" if stored.get("name") == "stderr" else "stdout"
            return _Output(kind, _escaped(_last_written(_text(stored.get("text"))), room))
        case "error":
            trace = "\n".join(each for each in _list(stored.get("traceback")) if isinstance(each, str))
            named = f"{_text(stored.get('ename'))}: {_text(stored.get('evalue'))}"
            return _Output("error", _escaped(trace or named, room))
        case "display_data" | "execute_result":
            return _shown(stored.get("data"), room)
    return None


def _shown(data: Any, room: _Room) -> _Output | None:
    """Return what is shown of the forms in which an output was given."""
    if not isinstance(data, Mapping):
        return None
    alternative = _text(data.get("text/plain"))
    if picture := _picture(data, room):
        return _Output("picture", picture=Markup(picture), alternative=sanitise_line(alternative) or "a picture")
    if alternative:
        return _Output("result", _escaped(alternative, room))
    kinds = ", ".join(sorted(sanitise_line(str(kind)) for kind in data)[:4])
    return _Output("left-out", escape(sanitise_text(f"left out: {kinds or 'an output'} is not shown here")))


def _picture(data: Mapping[str, Any], room: _Room) -> str:
    """Return the address of a picture that stands in it, "" where there is none that is what it says."""
    for kind, beginning in _PICTURES.items():
        text = _SPACE.sub("", _text(data.get(kind))[: _MOST_PICTURE + 1])
        if not text or len(text) > _MOST_PICTURE:
            continue
        try:
            decoded = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if decoded.startswith(beginning) and room.take(len(text)):
            return f"data:{kind};base64,{text}"
    drawing = _text(data.get(_SVG)).encode("utf-8", "replace")
    # As a picture it is inert: no script of it runs, and it can load nothing.
    if drawing and len(drawing) <= _MOST_PICTURE and room.take(len(drawing)):
        return f"data:{_SVG};base64,{base64.b64encode(drawing).decode()}"
    return ""


def _attachments(stored: Any, room: _Room) -> dict[str, str]:
    """Return the addresses of the pictures that a Markdown cell brings with it, by their names."""
    if not isinstance(stored, Mapping):
        return {}
    found = ((str(name), _picture(data, room)) for name, data in stored.items() if isinstance(data, Mapping))
    return {f"attachment:{quote(name)}": address for name, address in found if address}


def _rendered(source: str, attachments: Mapping[str, str]) -> Markup:
    # What commands a terminal or turns the direction of writing is made visible here as well.
    cleaned = sanitise_text(source.encode("utf-8", "replace").decode(), _MOST_TEXT)
    return Markup(_markdown().render(cleaned, {"attachments": attachments}))


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.validateLink = _is_allowed  # type: ignore[assignment, method-assign] # how markdown-it wants it
    made.core.ruler.push("below_the_title", _below_the_title)
    made.add_render_rule("image", _image)
    made.add_render_rule("link_open", _link)
    return made


def _is_allowed(address: str) -> bool:
    try:
        return urlsplit(address.strip()).scheme.lower() in _SCHEMES or address.startswith("attachment:")
    except ValueError:
        return False


def _below_the_title(state: Any) -> None:
    """Make a notebook's headings those of a page that has a title."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 1, 6)}"


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType) -> str:
    """Show a picture that the cell brought with it; one from elsewhere would tell them who reads this."""
    token = tokens[index]
    words = self.renderInlineAsText(token.children, options, environment) if token.children else ""
    address = environment["attachments"].get(str(token.attrs.get("src", "")))
    if address:
        return str(Markup('<img src="{}" alt="{}">').format(address, words or "a picture"))
    return str(Markup('<span class="quiet">[picture from elsewhere: {}]</span>').format(words or "without a name"))


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, environment)


def _escaped(text: str, room: _Room) -> Markup:
    # Marked as safe once it is, for the template would cut it as it cuts a message.
    return escape(sanitise_text(text, _MOST_TEXT)) if room.take(min(len(text), _MOST_TEXT)) else Markup("…")


def _last_written(text: str) -> str:
    """Return what a terminal would show of lines that were written over, as progress bars are."""
    return "\n".join(each.rstrip("\r").rpartition("\r")[2] for each in text.split("\n"))


def _text(stored: Any) -> str:
    """Return text, which may be stored as a list of lines."""
    return "".join(_strings(stored)) if isinstance(stored, list) else stored if isinstance(stored, str) else ""


def _strings(stored: list[Any]) -> Iterator[str]:
    return (each for each in stored if isinstance(each, str))


def _list(stored: Any) -> list[Any]:
    return stored if isinstance(stored, list) else []
