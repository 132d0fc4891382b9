"""The overview's page is one file that needs nothing, runs nothing, and shows names and messages as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from grader.render.overview import render_overview
from grader.results.journal import JournalRecord, Status
from grader.results.notice import Notice, NoticeKind
from grader.results.overview import ItemOverview, Overview, summarise
from grader.results.report import ItemResult, Report, Verdict

HOSTILE = "</td><script>alert(1)</script>'\"><img src=//evil onerror=x>{{ 7*7 }}\x1b[31m\u202e\x00\ud800"


class Page(HTMLParser):
    """What a browser would see: the elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._in_style = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def item(points: float, verdict: Verdict, **others: Any) -> ItemResult:
    values: dict[str, Any] = {"id": "corr2d", "section": "7.2.1", "title": "교차 상관", "message": "is wrong", **others}
    return ItemResult(points=points, max_points=4, verdict=verdict, **values)


def record(key: str, name: str, status: Status = Status.GRADED, message: str = "") -> JournalRecord:
    report = f"{key}.json" if status is Status.GRADED else ""
    return JournalRecord(key, name, {}, "r1", "none", status, message, report, 12.3)


def an_overview(text: str = "") -> Overview:
    """Return the overview of a class of twelve; with a text, everything that others wrote is this text."""
    entries: list[tuple[JournalRecord, Report | None]] = []
    for number in range(12):
        verdict = Verdict.PASSED if number % 3 else Verdict.FAILED
        named: dict[str, Any] = {"misconception": text or "kernel_flipped"} if number == 3 else {}
        words = {name: text for name in ("id", "section", "title", "message") if text}
        others = {**words, "id": f"{text}other"}
        items = (
            item(4 if verdict is Verdict.PASSED else 0, verdict, **words, **named),
            item(number % 4 + 0.5, Verdict.PARTIAL, **others),
        )
        notices = (Notice(text, NoticeKind.MISSING_PACKAGE, text or "tqdm"),) if number < 4 else ()
        report = Report(text or "hw2", text or "과제 2", text or "revision", (), items, notices=notices)
        entries.append((record(f"student {number} #?%", text or f"김민수 {number}"), report))
    entries.append((record(text or "lee", text or "이서연", Status.UNREADABLE, text or "the file is empty"), None))
    entries.append((record(text or "park", text or "박지훈", Status.FAILED, text or "was killed"), None))
    return summarise(entries)


def test_what_many_share_stands_before_everything_else() -> None:
    text = Page(render_overview(an_overview())).text
    assert text.index("tqdm is not installed here") < text.index("on average")
    assert "4 of 12" in text


def test_the_page_shows_the_whole_overview() -> None:
    overview = an_overview()
    assert overview.scores is not None
    page = Page(render_overview(overview))
    for text in (
        "과제 2",
        f"{overview.scores.mean:.1f} %",
        f"{overview.scores.median:.1f} %",
        "12 graded",
        "1 unreadable",
        "1 not graded: system error",
        "김민수 11",
        "교차 상관",
        "67 %",
        "4 failed",
        "12 partial",
        "kernel flipped",
        "is wrong",
        "이서연",
        "the file is empty",
        "was killed",
        "12.3",
    ):
        assert text in page.text


def test_the_histogram_has_a_bar_for_each_score_and_says_it_in_words() -> None:
    overview = an_overview()
    assert overview.scores is not None
    page = Page(render_overview(overview))
    drawn = [each for each in overview.scores.histogram if each.count]
    assert len(page.all("rect")) == len(drawn)
    spoken = next(each["aria-label"] or "" for each in page.all("svg") if "role" in each)
    for each in overview.scores.histogram:
        assert f"{each.lowest:g} to {each.highest:g} %: {each.count}" in spoken


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    text = render_overview(an_overview(HOSTILE))
    page = Page(text)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert {"http-equiv": "Content-Security-Policy", "content": policy} in page.all("meta")
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [name for _, attributes in page.elements for name in attributes if name == "src"]
    assert not re.search(r"https?:|url\(|@import|javascript:", text)
    assert "<script>alert(1)</script>" in page.text
    assert not set("\x1b\u202e\x00\ud800") & set(text)
    assert "{{ 7*7 }}" in page.text


def test_links_lead_to_the_reports_beside_it_and_nowhere_else() -> None:
    entries: list[tuple[JournalRecord, Report | None]] = [
        (record(key, key), Report("hw2", "t", "r", (), (item(4, Verdict.PASSED),)))
        for key in ("kim #1?", "//evil.example", "javascript:x")
    ]
    links = {each["href"] for each in Page(render_overview(summarise(entries))).all("a")}
    assert links == {"./kim%20%231%3F.html", ".///evil.example.html", "./javascript%3Ax.html"}


@pytest.mark.parametrize(
    ("discrimination", "judged", "word"),
    [
        (0.5, 30, "tells strong from weak"),
        (0.1, 30, "weak"),
        (-0.02, 30, "weak"),
        (-0.3, 30, "negative: check this item"),
        (None, 30, "no differences"),
        (0.9, 4, "too few submissions"),
        (None, 0, "not judged yet"),
    ],
)
def test_a_discrimination_has_a_word(discrimination: float | None, judged: int, word: str) -> None:
    only = ItemOverview("corr2d", "7.2", "t", 4, judged, 0.5, 0.5, discrimination, dict.fromkeys(Verdict, 0))
    page = Page(
        render_overview(Overview("t", "r", 0, {"graded": 1, "unreadable": 0, "failed": 0}, 0, None, items=(only,)))
    )
    assert word in page.text


def test_a_rate_says_of_how_many_it_is_if_others_are_pending() -> None:
    items = (item(4, Verdict.PASSED), item(0, Verdict.PENDING), item(0, Verdict.ABSENT))
    entries: list[tuple[JournalRecord, Report | None]] = [
        (record(f"s{number}", "Kim"), Report("hw2", "t", "r", (), (each,))) for number, each in enumerate(items)
    ]
    page = Page(render_overview(summarise(entries)))
    assert "50 %" in page.text
    assert "of 2 judged" in page.text
    assert "judged" not in Page(render_overview(an_overview())).text


def test_a_batch_without_graded_submissions_has_a_page() -> None:
    page = Page(render_overview(summarise([(record("lee", "Lee", Status.UNREADABLE, "no notebook"), None)])))
    assert "Nothing graded" in page.text
    assert "no notebook" in page.text
    assert page.all("rect") == []


def test_the_page_can_be_read_by_everyone() -> None:
    text = render_overview(an_overview())
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert all("aria-label" in each or "aria-hidden" in each for each in page.all("svg"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "Noto Sans KR" in text
