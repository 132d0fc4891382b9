"""Rules that find formulas in Markdown, between $, $$, \\( \\), \\[ \\] and in environments, as in Jupyter and Colab.

A price is no formula: the first character between two single dollars is no blank, the last one neither, and no digit
follows. What is between the marks is not read as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from grader.render.formulas import MAX_FORMULA, render_formula

__all__ = ["MATH_ROOM", "add_math_rules"]

MATH_ROOM = 400_000  # characters of MathML in one text
_MAX_LINES = 60  # of a formula
_CLOSING = {"$$": "$$", r"\[": r"\]", r"\(": r"\)", r"\\[": r"\\]", r"\\(": r"\\)"}
_OPENING = re.compile(r"\$\$|\\{1,2}[\[(]|\\begin\{([a-zA-Z]{1,20}\*?)\}")
_OPENING_OF_LINE = re.compile(r"\$\$|\\{1,2}\[|\\begin\{([a-zA-Z]{1,20}\*?)\}")
_BETWEEN_DOLLARS = re.compile(r"\$(?![\s$])((?:[^$\\\n]|\\.|\n(?!\n)){1,2000}?)(?<!\s)\$(?![\d$])")


def add_math_rules(parser: MarkdownIt) -> None:
    """Let a parser find formulas, and show them as MathML."""
    parser.inline.ruler.before("escape", "math", _find_in_line)
    parser.block.ruler.before("fence", "math_block", _find_block, {"alt": ["paragraph", "blockquote", "list"]})
    parser.add_render_rule("math", _render_math)
    parser.add_render_rule("math_block", _render_math)


def _find_in_line(state: StateInline, silent: bool) -> bool:
    """Take a formula that begins at the current position."""
    if state.src[state.pos] not in "$\\":
        return False
    opening = _OPENING.match(state.src, state.pos)
    if opening is None:
        between = _BETWEEN_DOLLARS.match(state.src, state.pos, state.posMax)
        if between is None:
            return False
        source, end, is_display = between[1], between.end(), False
    else:
        closing = _close(opening)
        found = state.src.find(closing, opening.end(), min(state.posMax, opening.end() + MAX_FORMULA))
        source, end = _take(state.src, opening, found, closing)
        is_display = "(" not in opening[0]
    if not source.strip():
        return False
    if not silent:
        token = state.push("math", "math", 0)
        token.content, token.meta = source, {"is_display": is_display}
    state.pos = end
    return True


def _find_block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    """Take a formula that begins a line, so that a line inside it is no list and no heading."""
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    opening = _OPENING_OF_LINE.match(state.src, begin, state.eMarks[start])
    if opening is None:
        return False
    closing = _close(opening)
    for line in range(start, min(last, start + _MAX_LINES)):
        at = opening.end() if line == start else state.bMarks[line]
        found = state.src.find(closing, at, state.eMarks[line])
        if line > start and (state.sCount[line] < state.blkIndent or state.isEmpty(line)):
            return False
        if found < 0:
            continue
        source, end = _take(state.src, opening, found, closing)
        if state.src[end : state.eMarks[line]].strip(" .,;") or not source.strip() or len(source) > MAX_FORMULA:
            return False  # a formula at the beginning of a sentence
        if not silent:
            token = state.push("math_block", "math", 0)
            token.block, token.map = True, [start, line + 1]
            token.content, token.meta = source, {"is_display": True}
        state.line = line + 1
        return True
    return False


def _close(opening: re.Match[str]) -> str:
    """Return the mark that closes a formula."""
    environment = opening[1]
    return rf"\end{{{environment}}}" if environment else _CLOSING[opening[0]]


def _take(text: str, opening: re.Match[str], found: int, closing: str) -> tuple[str, int]:
    """Return the formula between the marks and the position behind it. An environment belongs to its formula."""
    if found < 0:
        return "", 0
    end = found + len(closing)
    return (text[opening.start() : end] if opening[1] else text[opening.end() : found]), end


def _render_math(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, environment: EnvType
) -> str:
    token = tokens[index]
    shown = render_formula(token.content, is_display=token.meta["is_display"], room=environment["math_room"])
    environment["math_room"] -= len(shown)
    return f"<p>{shown}</p>\n" if token.block else str(shown)
