"""HTML that a cell displayed, such as a table of pandas, without anything but its text and its form.

The result is built anew from a fixed set of tags and from escaped text, so it holds no script, style, link, picture,
form or attribute but the span of a cell, however the input is written. It is balanced, and a part of a table or a list
stands inside one, so it cannot close an element of the page around it.

A sanitiser that parses HTML as browsers do was not taken: the rules of HTML5 for misnested formatting let 53 kB grow to
72 MB within 11 s and 2.5 GB in nh3 0.3, and this code runs in the trusted process. Here the time is linear.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

__all__ = ["sanitise_html"]

_VOID = {"br", "hr"}
_TABLE_PARTS = {"caption", "thead", "tbody", "tfoot", "tr", "td", "th"}
_LISTS = {"ul", "ol"}
_KEPT = (
    {"table", "li", "div", "p", "pre", "blockquote", "span", "b", "strong", "i", "em", "u", "s", "code", "sub", "sup"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
    | _VOID
    | _TABLE_PARTS
    | _LISTS
)
# What stands in these elements is no text.
_DROPPED = {"script", "style", "title", "textarea", "noscript", "iframe", "template", "svg", "math", "object", "select"}
_DEPTH = 30
_MOST_SPAN = 100  # columns or rows
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)([^<>]*)>")
_SPAN = re.compile(r"""\b(colspan|rowspan)\s*=\s*["']?(\d{1,3})\b""", re.IGNORECASE)


def sanitise_html(source: str) -> str:
    """Return HTML with the same text that is inert, or "" if it has no text."""
    parts: list[str] = []
    is_open: list[str] = []
    for tag, closes, rest in _split(source):
        if not tag:
            parts.append(html.escape(html.unescape(rest)))
        elif closes:
            if tag in is_open:
                while (last := is_open.pop()) != tag:
                    parts.append(f"</{last}>")
                parts.append(f"</{tag}>")
        elif tag in _VOID:
            parts.append(f"<{tag}>")
        elif len(is_open) < _DEPTH and _may_stand_in(tag, is_open):
            parts.append(f"<{tag}{_read_spans(rest) if tag in ('td', 'th') else ''}>")
            is_open.append(tag)
    parts += [f"</{tag}>" for tag in reversed(is_open)]
    return "".join(parts) if any(part.strip() for part in parts if not part.startswith("<")) else ""


def _split(source: str) -> Iterator[tuple[str, bool, str]]:
    """Yield tags that are kept, as name, whether they close, and attributes; yield text with "" as the name."""
    at = 0
    while at < len(source):
        start = source.find("<", at)
        if start < 0:
            yield "", False, source[at:]
            return
        if start > at:
            yield "", False, source[at:start]
        if source.startswith(("<!", "<?"), start):
            end = source.find("-->" if source.startswith("<!--", start) else ">", start)
            at = source.index(">", end) + 1 if end >= 0 else len(source)
            continue
        found = _TAG.match(source, start)
        if not found:
            yield "", False, "<"
            at = start + 1
            continue
        at, name = found.end(), found[2].lower()
        if name in _DROPPED and not found[1]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(source, at)
            at = closing.start() if closing else len(source)
        elif name in _KEPT:
            yield name, bool(found[1]), found[3]


def _may_stand_in(tag: str, is_open: list[str]) -> bool:
    if tag in _TABLE_PARTS:
        return "table" in is_open
    return tag != "li" or not _LISTS.isdisjoint(is_open)


def _read_spans(attributes: str) -> str:
    spans = {name.lower(): int(number) for name, number in _SPAN.findall(attributes)}
    return "".join(f' {name}="{min(number, _MOST_SPAN)}"' for name, number in sorted(spans.items()) if number > 1)
