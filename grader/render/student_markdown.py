"""Render Markdown of students, with its formulas, as part of a page, bounded by what comes out of it.

Twenty kilobytes of Markdown may stand for eight megabytes of HTML: a short row of a table is filled up with empty
cells, and a long address is repeated wherever its short name stands. What would become too long is shown as it was
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from grader.render.math_rules import MATH_ROOM, add_math_rules
from grader.render.text import sanitise_text

__all__ = ["MAX_MARKDOWN", "measure_work", "render_student_markdown"]

MAX_MARKDOWN = 20_000  # characters
_MAX_TOKENS = 20_000  # of blocks: a table of six thousand cells
_MAX_HTML = 500_000  # characters, without the pictures that are attached to the text
_MAX_PICTURES = 4 * 2**20  # characters of data URLs
_TOKEN_LENGTH = 20  # characters of HTML for a token, without its text and its attributes
_FEW_COLUMNS = 4  # which fit a phone
_SCHEMES = {"http", "https", "mailto"}
_SENTENCE = Markup(
    '<p class="quiet">Shown as it was written: as formatted text it would be too long for this page.</p>'
)


class _TooLong(Exception):
    """The Markdown stands for too much HTML."""


class _BoundedTokens(list[Token]):
    """A list of tokens that refuses to become too long."""

    def append(self, token: Token) -> None:
        """Add a token.

        Raises:
            _TooLong: there are too many.
        """
        if len(self) >= _MAX_TOKENS:
            raise _TooLong
        super().append(token)


def render_student_markdown(source: str, attachments: Mapping[str, str], *, lowered_by: int = 1) -> Markup:
    """Return Markdown as part of a page, without its HTML, remote pictures, and links with other schemes.

    Args:
        source: the Markdown; what is longer than `MAX_MARKDOWN` is cut.
        attachments: the data URLs of attached pictures, by address.
        lowered_by: levels by which headings stand lower, below those of the page.
    """
    # Terminal commands and marks that change the writing direction are made visible here too.
    text = sanitise_text(source.encode("utf-8", "replace").decode(), MAX_MARKDOWN)
    parser = _markdown()
    environment: dict[str, Any] = {"attachments": attachments, "room": _MAX_PICTURES}
    environment |= {"math_room": MATH_ROOM, "lowered_by": lowered_by}
    try:
        tokens = parser.parse(text, environment)
        if _measure(tokens) > _MAX_HTML:
            raise _TooLong
        return Markup(parser.renderer.render(tokens, parser.options, environment))
    except (_TooLong, RecursionError):  # a picture in the name of a picture in the name of a picture ...
        return _SENTENCE + Markup("<pre>{}</pre>").format(text)


def measure_work(source: str, rendered: Markup) -> int:
    """Return the work of rendering a text in characters of usual text: a table takes more than its length tells."""
    return MAX_MARKDOWN if rendered.startswith(_SENTENCE) else max(len(source), rendered.count("<") // 2)


def _measure(tokens: Iterable[Token]) -> int:
    """Return roughly how many characters of HTML tokens become."""
    length = 0
    for token in tokens:
        attributes = sum(len(str(value)) for value in token.attrs.values())
        text = 0 if token.type == "inline" else len(token.content)  # the text of its children
        length += _TOKEN_LENGTH + attributes + text + _measure(token.children or ())
    return length


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _is_allowed  # type: ignore[assignment, method-assign] # the documented way to replace it
    parser.core.ruler.before("block", "bound_tokens", _bound_tokens)
    parser.core.ruler.push("lower_headings", _lower_headings)
    add_math_rules(parser)
    parser.add_render_rule("image", _render_image)
    parser.add_render_rule("link_open", _render_link)
    parser.add_render_rule("table_open", _render_table)
    return parser


def _bound_tokens(state: Any) -> None:
    state.tokens = _BoundedTokens()


def _is_allowed(address: str) -> bool:
    try:
        return urlsplit(address.strip()).scheme.lower() in _SCHEMES or address.startswith("attachment:")
    except ValueError:
        return False


def _lower_headings(state: Any) -> None:
    """Lower a text's headings, below the title of the page."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + state.env['lowered_by'], 6)}"


def _render_image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    """Show a picture attached to the cell. A remote picture is not loaded: its server would learn who reads this."""
    token = tokens[index]
    words = self.renderInlineAsText(token.children, options, environment) if token.children else ""
    url = environment["attachments"].get(str(token.attrs.get("src", "")), "")
    environment["room"] -= len(url)  # the same picture may be shown a thousand times
    if url and environment["room"] >= 0:
        return str(Markup('<img src="{}" alt="{}">').format(url, words or "a picture"))
    return str(Markup('<span class="quiet">[picture from elsewhere: {}]</span>').format(words or "without a name"))


def _render_link(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, environment)


def _render_table(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    """Let keys go to a wide table, which scrolls."""
    heads = (token.type for token in tokens[index : index + 3 * _FEW_COLUMNS + 6])
    if sum(head == "th_open" for head in heads) > _FEW_COLUMNS:
        tokens[index].attrSet("tabindex", "0")
    return self.renderToken(tokens, index, options, environment)
