"""A student's text is shown literally."""

import unicodedata

import pytest

from grader.render import text
from grader.render.text import MARKS, describe_place, format_points, sanitise_line, sanitise_text
from grader.results.report import Verdict


def test_the_public_names_are_sorted() -> None:
    assert text.__all__ == sorted(text.__all__)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("과제 2 (최종) 👩‍🔬 [b]x[/b] <b>", "과제 2 (최종) 👩‍🔬 [b]x[/b] <b>"),
        ("a\n\tb\r\nc", "a\n    b\nc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07\x1b[2J\x1bc", "␛]0;title␇␛c"),
        ("\x00\r\x08\x7f", "␀␍␈␡"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("\u202eevil\u2069\u200f", "⟨U+202E⟩evil⟨U+2069⟩⟨U+200F⟩"),
        ("\ud800", "\ufffd"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_text_is_shown_literally(given: str, shown: str) -> None:
    assert sanitise_text(given) == shown


def test_no_character_that_controls_anything_is_left() -> None:
    every = "".join(map(chr, range(0x110000)))
    kept = sanitise_text(every, len(every)).replace("\n", "")
    assert not {unicodedata.category(character) for character in kept} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in kept} & {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI"}
    kept.encode()


def test_long_text_is_cut_and_says_so() -> None:
    assert sanitise_text("x" * 2000) == "x" * 2000
    assert sanitise_text("x" * 5_000_000) == "x" * 2000 + "… (4,998,000 more characters)"
    assert sanitise_text("\x1b[" * 5_000_000).endswith("more characters)")


def test_a_line_is_one_line() -> None:
    assert sanitise_line("a\nb\rc\u2028d\x0be") == "a b c d e"
    assert len(sanitise_line("x" * 1000)) < 250


def test_places_are_named_as_far_as_they_are_known() -> None:
    assert describe_place(None, 3) == ""
    assert describe_place("hw2.ipynb", None) == "hw2.ipynb"
    assert describe_place("hw\n2.ipynb", 3) == "hw 2.ipynb, cell 4"


def test_points_have_no_trailing_zeros() -> None:
    assert [format_points(value) for value in (0, 100, 0.75, 1.5, 1 / 3, 10.0)] == [
        "0",
        "100",
        "0.75",
        "1.5",
        "0.3333",
        "10",
    ]


def test_every_verdict_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == set(Verdict)
    assert len(set(MARKS.values())) == len(Verdict)
