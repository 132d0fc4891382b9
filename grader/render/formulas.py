"""Render formulas in TeX as MathML, for texts of students: no script, no style, no link, and bounded in time and size.

latex2mathml reads TeX. Its result is written anew from a fixed set of elements and attributes, because it keeps links,
styles and classes, and its own text form does not escape what stands in `\\text`. Commands that define commands, or
that repeat their argument, are not converted: thirty of them inside each other would fill the memory.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["MAX_FORMULA", "render_formula"]

MAX_FORMULA = 2000  # characters of TeX
_SHORT = 30  # characters of TeX that fit a phone
_MAX_MATHML = 60_000  # characters
_MAX_DEPTH = 60  # of elements
_GROWING = re.compile(r"\\(?:newcommand|renewcommand|providecommand|def|newenvironment|DeclareMathOperator|sideset)")
_KEPT = frozenset(
    {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded", "mphantom"}
    | {"msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "menclose", "mmultiscripts"}
)
_WORD = re.compile(r"[a-z-]{1,40}(?: [a-z-]{1,40}){0,40}")
_LENGTH = re.compile(r"[+-]?\d?(?:\.\d{1,4})?(?:em|ex|pt|mu)|0|0px")  # nothing wider than nine letters
_VALUES = {
    **dict.fromkeys(("display", "mathvariant", "form", "notation", "columnalign", "rowlines", "columnlines"), _WORD),
    **dict.fromkeys(("stretchy", "fence", "separator", "displaystyle", "movablelimits", "accent"), _WORD),
    **dict.fromkeys(("width", "height", "depth", "lspace", "rspace", "voffset", "linethickness"), _LENGTH),
    **dict.fromkeys(("minsize", "maxsize"), _LENGTH),
    "scriptlevel": re.compile(r"[+-]?[0-3]"),
}


class _TooLarge(Exception):
    """The formula stands for too much MathML."""


def render_formula(source: str, *, is_display: bool, room: int = _MAX_MATHML) -> Markup:
    """Return a formula as MathML, or as it was written if it cannot be read or would become too large.

    Args:
        source: the TeX between the delimiters.
        is_display: whether it stands on a line of its own.
        room: the most characters of MathML.
    """
    shown = _convert(source.strip(), is_display, min(room, _MAX_MATHML))
    if shown is not None:
        # A long one scrolls, which keys do only where they can go to.
        scrolls = ' role="group" aria-label="formula" tabindex="0"' if len(source) > _SHORT else ""
        return Markup(f'<span class="formula"{scrolls}>{shown}</span>' if is_display else shown)
    mark = "$$" if is_display else "$"
    return Markup('<code class="formula">{}</code>').format(f"{mark}{source.strip()}{mark}")


def _convert(source: str, is_display: bool, room: int) -> str | None:
    """Return MathML. Return None if the source is no formula that is converted."""
    if not source or len(source) > MAX_FORMULA or room <= 0 or _GROWING.search(source):
        return None
    # Imported here: it reads a table of symbols, and most reports have no formula.
    from latex2mathml.converter import Converter

    try:
        element = Converter(display="block" if is_display else "inline").convert_to_element(source)
        parts, size = [], 0
        for part in _write(element, 0):
            parts.append(part)
            size += len(part)
            if size > room:
                raise _TooLarge
        return "".join(parts)
    except Exception:  # of any kind: StopIteration, KeyError and others for TeX that it does not expect
        return None


def _write(element: Element, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise _TooLarge
    tag = element.tag if element.tag in _KEPT else "mrow"
    attributes = "".join(
        f' {name}="{value}"'
        for name, value in element.attrib.items()
        if name in _VALUES and _VALUES[name].fullmatch(value)
    )
    yield f"<{tag}{attributes}>"
    # Symbols stand in it as references to characters.
    yield str(escape(html.unescape(element.text or "")))
    for child in element:
        yield from _write(child, depth + 1)
    yield f"</{tag}>"
