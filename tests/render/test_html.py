"""The HTML report is one page that needs nothing, runs nothing, and shows a student's text as text."""

import re
from typing import Any

from grader.render import html, render_body, render_html
from grader.render.chart import DRAWN_WAYS
from grader.render.picture import STEPS
from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from grader.results.source_cells import SourceCell
from grader.sandbox.protocol.layers import LayerStatus
from tests.support.html_pages import EVIDENCE, FULL, HOSTILE, SMALL, Page, item, report_of


def test_the_public_names_are_sorted() -> None:
    assert html.__all__ == sorted(html.__all__)


def test_the_page_shows_the_whole_report() -> None:
    page = Page(render_html(FULL))
    assert page.balanced
    for text in (
        "과제 2",
        "과제 (최종) [1].ipynb",
        "6 of 18 points",
        "1 passed",
        "6 points still to be decided",
        "7.6.2 0 of 6",
        "Points lost",
        "Still to be decided",
        "hw2.ipynb, cell 13",
        "the book's example",
        "(2, 2) float32",
        "found - expected",
        "64x56x56",
        "hw2.ipynb, cell 3",
        "ValueError: no",
        "cell 3 ran past 60 s",
        "an install was not run",
        "0" * 64,
    ):
        assert text in page.text


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    text = render_html(FULL)
    page = Page(text)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert {"http-equiv": "Content-Security-Policy", "content": policy} in page.all("meta")
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "base",
        "form",
        "svg",
        "a",
    }
    assert not {
        name
        for _, attributes in page.elements
        for name in attributes
        if name.startswith("on") or name in ("src", "href")
    }
    assert not re.search(r"https?:|url\(|@import|javascript:", text)


def test_the_page_can_be_read_by_everyone() -> None:
    text = render_html(FULL)
    page = Page(text)
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("h1")
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "Noto Sans KR" in text
    assert page.text.count("failed") >= 2  # in words, not by colour alone


def test_every_colour_of_text_stands_out_in_light_and_dark() -> None:
    style = render_html(FULL)
    for block in re.findall(r":root \{([^}]*--card[^}]*)\}", style)[:2]:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))
        pairs = [(name, f"{name}-tint") for name in ("good", "bad", "partly", "open")]
        pairs += [
            ("text", "page"),
            ("text", "card"),
            ("text", "code"),
            ("quiet", "page"),
            ("quiet", "card"),
            ("quiet", "code"),
            ("text", "zero"),
        ]
        pairs += [("text", f"{side}-{step}") for side in ("below", "above") for step in range(1, STEPS + 1)]
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_was_lost_is_open_and_the_rest_closed() -> None:
    for verdict in Verdict:
        (details,) = Page(render_html(report_of(item(verdict)))).all("details")
        assert ("open" in details) == (verdict not in (Verdict.PASSED, Verdict.PENDING))


def test_entries_that_differ_are_marked_in_words_too() -> None:
    text = render_html(report_of(item(Verdict.FAILED, evidence=EVIDENCE)))
    assert re.findall(r'<td class="[a-z0-9-]* differs">([^<]*)<span class="unseen"> \(differs\)', text) == ["5"]


def test_both_shapes_are_marked_where_they_differ() -> None:
    text = render_html(report_of(item(Verdict.FAILED, evidence=SMALL | {"case": "another shape"})))
    assert '<span class="wanted">(2, 2) float32</span>' in text
    assert '<span class="differs"><span aria-hidden="true">≠ </span>(1,)<span class="unseen"> (differs)</span>' in text


def test_the_smallest_case_is_the_first_picture() -> None:
    text = Page(render_html(FULL)).text
    assert text.index("the smallest input that goes wrong") < text.index("the book's example")


def test_the_first_layer_that_differs_is_marked_once() -> None:
    text = render_html(FULL)
    assert text.count("first difference") == 1
    (row,) = re.findall(r'<tr class="first">(.*?)</tr>', text, re.DOTALL)
    assert "pooling" in row


def test_every_picture_has_a_name_and_numbers_stay_text() -> None:
    page = Page(render_html(FULL))
    matrices = [attributes for attributes in page.all("table") if attributes.get("class") == "matrix"]
    assert [attributes["aria-label"] for attributes in matrices][-3:] == [
        "expected, (2, 2) float32",
        "found, (2, 2) float32, 1 of 4 entries differ",
        "difference, found - expected",
    ]
    assert all(attributes.get("aria-label") for _, attributes in page.elements if attributes.get("role"))
    assert "-14" in page.text


def test_colours_are_explained_where_there_are_some() -> None:
    for evidence, explained in ((EVIDENCE, 1), ({"found": 3}, 0), ({}, 0)):
        assert render_html(report_of(item(Verdict.FAILED, evidence=evidence))).count('class="legend"') == explained


def test_a_student_s_text_is_shown_literally() -> None:
    hostile = Report(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        (File(HOSTILE, HOSTILE),),
        (
            ItemResult(
                HOSTILE,
                HOSTILE,
                HOSTILE,
                0,
                1,
                Verdict.FAILED,
                HOSTILE,
                HOSTILE,
                1,
                {
                    HOSTILE: HOSTILE,
                    "case": HOSTILE,
                    "smallest": {"case": HOSTILE, "inputs": {HOSTILE: {"shape": [HOSTILE], "values": [HOSTILE]}}},
                    "stages": [{"layer": HOSTILE, "expected": [HOSTILE], "found": HOSTILE}],
                    "training": {
                        **dict.fromkeys(("mode", "recipe", "threshold", "evidence"), HOSTILE),
                        "runs": [{"seed": HOSTILE, "accuracy": HOSTILE, "epochs": [1, HOSTILE], "loss": [1, HOSTILE]}],
                        "own": [
                            {
                                **dict.fromkeys(("file", "cell", "optimizer", "lr", "steps", "epochs"), HOSTILE),
                                "findings": [{"id": HOSTILE, "text": HOSTILE}],
                                "losses": [1, 2, HOSTILE],
                            }
                        ],
                    },
                },
            ),
        ),
        (CellResult(HOSTILE, 1, HOSTILE, HOSTILE),),
        (LayerStatus(HOSTILE, False, HOSTILE),),
        (HOSTILE,),
        (Notice(HOSTILE),),
    )
    text = render_html(hostile)
    page = Page(text)
    assert page.balanced
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not set(text) & set("\x1b\x00\u202e\ud800")
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7*7 }}" in page.text
    text.encode()


TRAINING = {
    "recipe": "1 epoch of 20,000 images",
    "threshold": 0.6,
    "evidence": "trained here from the model's graph",
    "runs": [
        {"seed": 0, "accuracy": 0.5, "epochs": [0.5, 1.0], "loss": [2.3, "nan"], "accuracy_by_epoch": [0.1, 0.5]},
        {"seed": 1, "accuracy": 0.73, "epochs": [0.5, 1.0], "loss": [2.0, 0.7], "accuracy_by_epoch": [0.2, 0.7]},
    ],
    "own": [{"file": "hw2.ipynb", "cell": 3, "findings": [{"id": "lr", "text": "too high a rate"}], "losses": [1, 2]}],
}


def test_a_training_shows_its_curves_its_numbers_and_what_is_found_in_the_students_loop() -> None:
    text = render_html(report_of(item(Verdict.PASSED, 6, evidence={"training": TRAINING})))
    page = Page(text)
    assert page.balanced
    for shown in (
        "1 epoch of 20,000 images",
        "seed 1: accuracy 0.73 (0.6 needed)",
        "0.6 needed",
        "From your own training loop (advisory: it ran in your process)",
        "too high a rate",
        "hw2.ipynb, cell 4",
        "accuracy, seed 1",
    ):
        assert shown in page.text
    drawings = [attributes for attributes in page.all("svg") if "role" in attributes]
    assert [attributes["role"] for attributes in drawings] == ["img"] * 3
    assert all(attributes["aria-label"] for attributes in drawings)
    assert len(page.all("title")) == 1 + len(drawings)
    assert len(page.all("desc")) == len(drawings)
    assert text.count('<path class="threshold"') == 1
    assert len(page.all("circle")) == 2
    assert not re.search(r"[\" ](nan|inf)", " ".join(attributes.get("d") or "" for attributes in page.all("path")))
    assert {attributes.get("class") for attributes in page.all("details")} == {None, "numbers"}
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))


def test_a_training_is_not_shown_as_other_evidence_and_other_evidence_stays() -> None:
    both = render_html(report_of(item(Verdict.FAILED, evidence={**EVIDENCE, "training": TRAINING})))
    assert "accuracy_by_epoch" not in both
    assert "the book&#39;s example" in both
    without = Page(render_html(report_of(item(Verdict.FAILED, evidence=EVIDENCE))))
    assert not without.all("svg")
    assert "training" not in without.text


def test_curves_stand_out_in_light_and_dark() -> None:
    style = render_html(FULL)
    blocks = re.findall(r":root \{([^}]*--card[^}]*)\}", style)[:2]
    for block in blocks:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", block))
        assert all(contrast(colours[f"way-{way}"], colours["card"]) >= 3 for way in range(DRAWN_WAYS))


def test_a_page_stays_small() -> None:
    loud = report_of(
        item(Verdict.FAILED, evidence={"found": "x" * 5_000_000, "inputs": {"X": [0] * 100_000}}),
        cells=tuple(CellResult("hw2.ipynb", number, "raised", "x" * 10_000) for number in range(1000)),
        notices=(Notice("x" * 1000),) * 5000,
    )
    text = render_html(loud)
    assert len(text) < 1_500_000
    assert "and 800 more" in text
    assert "and 4800 more" in text


def test_a_report_without_items_is_a_page() -> None:
    assert Page(render_html(report_of())).balanced


CAUSE = item(Verdict.FAILED, file="hw2.ipynb", cell=1, line=2, code="return Y", evidence=EVIDENCE)
SOURCES = {
    "hw2.ipynb": (SourceCell("markdown", "# $x^2$"), SourceCell("code", "def corr2d(X, K):\n    return Y\n")),
}


def hanging(name: str, **others: Any) -> ItemResult:
    message = "because of corr2d (corr2d.values)"
    place = {"file": "hw2.ipynb", "cell": 1, "evidence": EVIDENCE, "because_of": "corr2d.values"}
    return ItemResult(name, "7.4", name, 0, 4, Verdict.FAILED, message, **{**place, **others})


def with_cells(*items: ItemResult) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64, cells=2),), items)


def test_what_lost_points_comes_first_and_what_others_hang_on_before_it() -> None:
    passed = ItemResult("a", "7.1", "a", 1, 1, Verdict.PASSED, "right")
    pending = ItemResult("b", "7.1", "b", 0, 1, Verdict.PENDING, "waits")
    other = ItemResult("c", "7.1", "c", 0, 1, Verdict.ABSENT, "is not defined")
    report = with_cells(passed, pending, hanging("d"), other, CAUSE, hanging("e"))
    ids = [attributes["id"] for attributes in Page(render_html(report)).all("details")]
    assert ids == ["item-corr2d.values", "item-c", "item-d", "item-e", "item-b", "item-a"]


def test_the_page_begins_with_what_to_mend_first() -> None:
    page = Page(render_html(with_cells(hanging("d"), CAUSE, hanging("e"))))
    assert "Mend first: corr2d, 2 items hang on it (hw2.ipynb, cell 2 of 2, line 2)" in page.text
    assert page.text.index("Mend first") < page.text.index("Points lost")
    assert {"href": "#item-corr2d.values"} in page.all("a")
    assert "Mend first: corr2d, 1 item hangs on it" in Page(render_html(with_cells(hanging("d"), CAUSE))).text
    assert "Mend first" not in Page(render_html(with_cells(CAUSE))).text


def test_what_hangs_on_another_item_says_that_and_nothing_more() -> None:
    page = Page(render_html(with_cells(CAUSE, hanging("d", would_earn=4)), SOURCES))
    told = page.text[page.text.index("because of corr2d (corr2d.values)") :].split("hw2, rubric")[0]
    assert told.split("\n")[0] == "because of corr2d (corr2d.values); 4 of 4 with a right corr2d"
    assert "book" not in told
    assert "hw2.ipynb, cell 2" not in told
    assert "with a right" not in Page(render_html(with_cells(CAUSE, hanging("d")))).text


def test_an_item_links_to_its_cell_and_quotes_its_line() -> None:
    page = Page(render_html(with_cells(CAUSE), SOURCES))
    assert page.balanced
    assert {"href": "#cell-2"} in page.all("a")
    assert "hw2.ipynb, cell 2 of 2, line 2" in page.text
    assert "cell-2" in [attributes.get("id") for attributes in page.all("div")]
    assert len(page.all("mark")) == 1
    assert len(page.all("math")) == 1
    links = {attributes["href"] for attributes in page.all("a")}
    assert links <= {f"#{attributes.get('id')}" for _, attributes in page.elements}


def test_without_cells_the_line_is_quoted_all_the_same() -> None:
    page = Page(render_html(with_cells(CAUSE)))
    assert "hw2.ipynb, cell 2 of 2, line 2" in page.text
    assert "return Y" in page.text
    assert not page.all("a")


def test_several_notebooks_have_cells_of_their_own() -> None:
    page = Page(render_html(with_cells(CAUSE), {"a.ipynb": SOURCES["hw2.ipynb"], **SOURCES}))
    assert {"href": "#cell-2-2"} in page.all("a")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_only_staff_see_how_the_sandbox_held() -> None:
    assert "not delegated" not in Page(render_html(FULL)).text
    assert "not delegated" not in Page(str(render_body(FULL))).text
    page = Page(str(render_body(FULL, for_staff=True)))
    assert "not delegated" in page.text
    assert "Sandbox, without 1 of 2 layers" in page.text
    assert "open" not in [each for each in page.all("details") if each.get("class") == "plain"][-1]


def test_a_page_with_huge_notebooks_stays_small() -> None:
    cells = {
        f"{number}.ipynb": (SourceCell("code", "x" * 20_000), SourceCell("markdown", "$x$ " * 5000)) * 25
        for number in range(2)
    }
    text = render_html(with_cells(CAUSE), cells)
    assert len(text) < 4_000_000
    assert Page(text).balanced
