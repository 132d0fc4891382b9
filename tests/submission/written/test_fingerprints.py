"""The book's text is known by its fingerprints, however it is laid out; the student's own words are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import AssignmentError
from grader.submission.written.fingerprints import Fingerprints, load_fingerprints, make_fingerprints, split_blocks
from grader.submission.written.own_words import find_own_words

BOOK = """# Ferries
:label:`sec_ferries`

A ferry carries people over a river that has no bridge. It leaves when the bell rings,
and comes back before the *evening* tide turns at :numref:`fig_tide`.

$$t = \\frac{d}{v_\\textrm{ferry}}$$

## Exercises

1. What happens to the ferry if the river freezes over in winter?
1. How long does the crossing take for $d = 300$ and a slow boat?
"""
KOREAN = "나룻배는 다리가 없는 강을 건너 사람들을 실어 나른다. 종이 울리면 떠나고 저녁 밀물이 들기 전에 돌아온다."
CHINESE = "渡船载着人们渡过没有桥的河流。钟声一响就出发,在傍晚涨潮之前回来。"


@pytest.fixture(scope="module")
def book() -> Fingerprints:
    return make_fingerprints([BOOK, KOREAN, CHINESE])


def own(text: str, book: Fingerprints) -> str:
    return find_own_words(text, book).text


@pytest.mark.parametrize(
    "text",
    [
        BOOK,
        KOREAN,
        CHINESE,
        BOOK.replace("\n", "\r\n").replace("\r\n", "\n"),
        "A ferry carries people over a river that has no bridge. It leaves when the bell rings,",
        "a FERRY carries people   over a river\nthat has **no bridge**.",
        "A ferry carries people over a river that has no bridge. It leaves when the bell rings, and comes back before "
        "the evening tide turns at Fig. 3.2.",
        "3) What happens to the ferry if the river freezes over in winter?",
        "나룻배는 다리가 없는 강을 건너\n사람들을 실어 나른다.",
        "## Exercises",
        "---",
        ":label:`sec_boats`",
        "",
    ],
)
def test_the_books_text_is_not_the_students(book: Fingerprints, text: str) -> None:
    assert own(text, book) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Boats are slow.", "Boats are slow."),
        (f"{BOOK}\nI think a bridge is better.", "I think a bridge is better."),
        ("1. What happens to the ferry if the river freezes over in winter?\n\n   It stops.", "It stops."),
        ("1. What happens to the ferry if the river freezes over in winter?\nNo.", "No."),
        ("1. What happens to the ferry if the river freezes over in winter? It cannot leave the quay any more.",
         "It cannot leave the quay any more."),
        ("It leaves when the bell rings, and I once missed it by a minute because of my old watch.",
         "It leaves when the bell rings, and I once missed it by a minute because of my old watch."),
        (f"{KOREAN} 나는 배를 타 본 적이 없다.", "나는 배를 타 본 적이 없다."),
        (f"{CHINESE}我从来没有坐过船。", "我从来没有坐过船。"),
        ("![](picture:0)", "![](picture:0)"),
        ("$$\\alpha\\beta$$", "$$\\alpha\\beta$$"),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("```python\nx = 1\n\ny = 2\n```", "```python\nx = 1\n\ny = 2\n```"),
        ("[a plan](https://example.org/plan)", "[a plan](https://example.org/plan)"),
    ],
)  # fmt: skip
def test_the_students_words_are_kept_as_they_were_written(book: Fingerprints, text: str, words: str) -> None:
    assert own(text, book).strip() == words


def test_a_mark_stands_for_the_book_between_the_students_words(book: Fingerprints) -> None:
    found = find_own_words(f"Mine.\n\n{BOOK}\n\nMine too.\n\n{KOREAN}", book)
    assert found.text == "Mine.\n\n[…]\n\nMine too."
    assert (found.own, found.book) == (2, 8)


def test_without_a_book_all_words_are_the_students() -> None:
    found = find_own_words(f" {BOOK}", None)
    assert (found.text, found.book) == (BOOK.strip(), 0)


def test_a_file_has_the_hashes_and_no_text(book: Fingerprints, tmp_path: Path) -> None:
    path = tmp_path / "book.fingerprints"
    path.write_bytes(book.to_bytes())
    assert b"ferry" not in path.read_bytes()
    assert len(path.read_bytes()) == len(b"grader fingerprints 1\n") + 4 * len(book)
    assert own(BOOK, load_fingerprints(path)) == ""
    assert load_fingerprints(path) is load_fingerprints(path)


def test_the_hashes_are_the_same_on_every_machine() -> None:
    assert make_fingerprints(["one two three four"]).to_bytes().hex() == (
        "6772616465722066696e6765727072696e747320310a" + "c843d014"
    )


@pytest.mark.parametrize("content", [b"", b"grader fingerprints 1\nabc", b"grader fingerprints 2\nabcd", b"# Ferries"])
def test_another_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.fingerprints"
    path.write_bytes(content)
    with pytest.raises(AssignmentError, match=r"wrong.fingerprints: no fingerprints of this version: make it again"):
        load_fingerprints(path)
    with pytest.raises(AssignmentError, match="cannot be read"):
        load_fingerprints(tmp_path / "missing.fingerprints")


def test_blocks_are_paragraphs_items_headings_and_code() -> None:
    text = "# A\none\ntwo\n\n- three\n- four\n  five\n```\nsix\n\n# seven\n```\neight"
    assert list(split_blocks(text)) == [
        "# A",
        "one\ntwo",
        "- three",
        "- four\n  five",
        "```\nsix\n\n# seven\n```",
        "eight",
    ]
