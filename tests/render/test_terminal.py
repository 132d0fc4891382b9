"""The terminal report is compact, fits its width, and lets no student's text command the terminal."""

import io
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from grader import render
from grader.render import render_terminal, terminal
from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from grader.sandbox.protocol.layers import LayerStatus

MATRIX = {"shape": [2, 2], "dtype": "float32", "values": [[19.0, 25.0], [37.0, 43.0]]}
WRONG = {"shape": [2, 2], "dtype": "float32", "values": [[5.0, 25.0], ["nan", 43.0]]}
EVIDENCE = {"case": "the book's example", "inputs": {"X": MATRIX}, "expected": MATRIX, "found": WRONG}
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e[bold]:smile:[/bold]\x00\ud800\r"


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "Homework 2", "revision", (File("과제 2.ipynb", "0" * 64),), items, **others)


def item(verdict: Verdict, points: float = 0, message: str = "is wrong", **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, 6, verdict, message, **others)


def printed(report: Report, width: int = 80, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="standard" if colour else None)
    render_terminal(report, console)
    return file.getvalue()


@pytest.mark.parametrize("module", [render, terminal])
def test_the_public_names_are_sorted(module: ModuleType) -> None:
    assert module.__all__ == sorted(module.__all__)


def test_the_score_comes_first() -> None:
    text = printed(report_of(item(Verdict.PASSED, 6), item(Verdict.PENDING)))
    first, counts, title, file = text.splitlines()[:4]
    assert first.startswith("6 / 12 points")
    assert first.endswith("6 pending")
    assert (counts, title, file) == ("1 right, 1 pending", "Homework 2  hw2", "과제 2.ipynb")


def test_each_item_shows_its_verdict_points_and_message() -> None:
    text = printed(report_of(item(Verdict.PASSED, 6, "right"), item(Verdict.FAILED, 0, file="hw2.ipynb", cell=12)))
    assert "✓  corr2d.values  6 / 6  right" in text
    assert "✗ corr2d.values  0 / 6\n  is wrong" in text
    assert "hw2.ipynb, cell 13" in text


def test_evidence_is_shown_for_what_was_lost_only() -> None:
    text = printed(report_of(item(Verdict.FAILED, evidence=EVIDENCE)))
    assert "19 25" in text
    assert "nan  43" in text
    for verdict in (Verdict.PASSED, Verdict.PENDING):
        assert "19 25" not in printed(report_of(item(verdict, evidence=EVIDENCE)))


def test_inputs_of_code_that_gave_no_result_are_left_to_the_page() -> None:
    evidence = {"case": "the book's example", "inputs": {"X": MATRIX}}
    text = printed(report_of(item(Verdict.ERROR, message="raises NameError", evidence=evidence)))
    assert "raises NameError" in text
    assert "19 25" not in text


def test_only_the_smallest_case_is_printed() -> None:
    small = {"expected": {"shape": [1], "values": [7.0]}, "found": {"shape": [1], "values": [8.0]}}
    text = printed(report_of(item(Verdict.FAILED, evidence={**EVIDENCE, "smallest": small})))
    assert "(1,)" in text
    assert "(2, 2)" not in text  # the message describes the other case, and the page has it


def test_entries_that_differ_are_underlined() -> None:
    assert "\x1b[1;4;31mnan\x1b[0m  43" in printed(report_of(item(Verdict.FAILED, evidence=EVIDENCE)), colour=True)


TRAINING = {
    "recipe": "1 epoch of 20,000 images",
    "threshold": 0.6,
    "evidence": "trained here",
    "runs": [
        {"seed": 0, "accuracy": 0.5, "epochs": [1, 2, 3], "loss": [3, "nan", 1]},
        {"seed": 1, "accuracy": 0.73, "epochs": [1, 2, 3], "loss": [3, 2, 1], "accuracy_by_epoch": [0.1, 0.4, 0.8]},
    ],
    "own": [
        {
            "file": "hw2.ipynb",
            "cell": 3,
            "optimizer": "SGD",
            "lr": 10.0,
            "findings": [{"id": "lr", "text": "too high a rate"}],
            "losses": [1, 2],
        }
    ],
}


def test_a_training_has_a_line_for_each_seed() -> None:
    for verdict in (Verdict.PASSED, Verdict.FAILED):
        text = printed(report_of(item(verdict, evidence={**EVIDENCE, "training": TRAINING})))
        assert "1 epoch of 20,000 images; trained here" in text
        assert "seed 0: accuracy 0.5 (0.6 needed)  loss 3 █ ▁ 1" in text
        assert "seed 1: accuracy 0.73 (0.6 needed)  0.1 ▁▄█ 0.8" in text
        assert "From your own training loop (advisory: it ran in your process)" in text
        assert "hw2.ipynb, cell 4: SGD, learning rate 10" in text
        assert "- too high a rate" in text
        assert ("nan  43" in text) == (verdict is Verdict.FAILED)
        assert "accuracy_by_epoch" not in text


def test_without_block_characters_a_curve_is_its_ends() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    render_terminal(report_of(item(Verdict.PASSED, evidence={"training": TRAINING})), Console(file=file, width=80))
    file.seek(0)
    assert "seed 1: accuracy 0.73 (0.6 needed)  0.1 to 0.8" in file.read()


def test_without_trainings_none_are_mentioned() -> None:
    untrained = {"training": {**TRAINING, "runs": [], "own": []}}
    assert printed(report_of(item(Verdict.PENDING, evidence=untrained))) == printed(report_of(item(Verdict.PENDING)))


def test_cells_limits_layers_and_notices_are_listed() -> None:
    text = printed(
        report_of(
            cells=(CellResult("hw2.ipynb", 1, "ok"), CellResult("hw2.ipynb", 2, "raised", "ValueError: no")),
            layers=(
                LayerStatus("seccomp", True),
                LayerStatus("cgroup", False, "not delegated"),
                LayerStatus("net", False),
            ),
            limits_hit=("cell 3 ran past 60 s",),
            notices=(Notice("an install was not run"),),
        )
    )
    assert "hw2.ipynb, cell 3: raised. ValueError: no" in text
    assert "cell 1" not in text
    assert "cgroup (not delegated), net" in text
    assert "seccomp" not in text
    assert "cell 3 ran past 60 s" in text
    assert "an install was not run" in text


def test_what_does_not_apply_is_not_mentioned() -> None:
    text = printed(report_of(item(Verdict.PASSED, 6)))
    for title in ("Cells", "Limits", "Sandbox", "Notices", "pending"):
        assert title not in text


def test_long_lists_are_cut() -> None:
    text = printed(report_of(notices=tuple(Notice(f"notice {number}") for number in range(5000))))
    assert "notice 19" in text
    assert "notice 20" not in text
    assert "and 4,980 more" in text


def test_what_lost_points_stands_before_the_rest_with_its_line_of_code_and_its_evidence() -> None:
    wrong = item(Verdict.FAILED, file="hw2.ipynb", cell=3, line=9, code="return Y", evidence=EVIDENCE)
    files = (File("hw2.ipynb", "0" * 64, 26),)
    text = printed(replace(report_of(item(Verdict.PASSED, 6, "right"), wrong), files=files))
    place = text.index("hw2.ipynb, cell 4 of 26, line 9")
    parts = [text.index("✗"), place, text.index("return Y"), text.index("19 25"), text.index("✓")]
    assert parts == sorted(parts)


CAUSE = ItemResult("corr2d.values", "1", "Values", 0, 6, Verdict.FAILED, "is flipped", "hw2.ipynb", 0, EVIDENCE)
HANGING = ItemResult(
    "corr2d_multi_in", "1", "Channels", 0, 4, Verdict.FAILED, "wrong in 3 of 3", "hw2.ipynb", 1, EVIDENCE,
    line=1, code="def corr2d_multi_in", because_of="corr2d.values", would_earn=4,
)  # fmt: skip


def test_what_hangs_on_another_item_says_so_in_one_line_and_nothing_more() -> None:
    text = printed(report_of(HANGING, CAUSE))
    assert "Mend first: corr2d, 1 item hangs on it (hw2.ipynb, cell 1)" in text.splitlines()[2]
    (line,) = [line for line in text.splitlines() if "corr2d_multi_in" in line]
    assert "0 / 4  because of corr2d (corr2d.values); 4 of 4" in line
    assert text.count("nan  43") == 1
    assert "cell 2" not in text
    assert text.index("✗ corr2d.values") < text.index("corr2d_multi_in")


def test_answers_that_are_not_there_take_one_row() -> None:
    waiting = [
        ItemResult(f"discussion.{name}", "7", "Discussion", 0, 0.75, Verdict.PENDING, "no discussion found")
        for name in ("7.1", "7.2", "7.3")
    ]
    text = printed(report_of(waiting[0], replace(waiting[1], message="waits (36 words)", file="a"), waiting[2]))
    assert "discussion.7.1, 7.3   0 / 1.5  no discussion found" in text
    assert "discussion.7.2       0 / 0.75  waits (36 words)" in text


@pytest.mark.parametrize("width", [40, 44, 80])
def test_nothing_is_lost_on_a_narrow_terminal(width: int) -> None:
    numbers = [[100.25 + 10 * row + column for column in range(8)] for row in range(3)]
    wide = {"shape": [3, 8], "dtype": "float32", "values": numbers}
    wrong = item(
        Verdict.FAILED, message="wrong " + "word " * 60 + "end", file="hw2.ipynb", cell=3, line=9,
        code="return " + "x + " * 20 + "y", evidence={"inputs": {"X": wide}, "expected": wide, "found": WRONG},
    )  # fmt: skip
    right = item(Verdict.PASSED, 6, "right on 73.0% of 2,000 withheld images")
    text = printed(report_of(wrong, right, HANGING), width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…" not in text.replace("…  ", "")
    words = " ".join(text.split())
    for part in ("word end", "x + y", "right on 73.0% of 2,000 withheld images", "because of corr2d (corr2d.values)"):
        assert part in words
    for row in numbers:
        assert all(f"{number:g}" in words for number in row)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = item(Verdict.FAILED, 0, "길다 " * 300, file="긴 이름 " * 50 + ".ipynb", cell=1, evidence=EVIDENCE)
    cells = (CellResult("긴 이름" * 50, 1, "raised", "x" * 5000),)
    text = printed(report_of(long, item(Verdict.ABSENT), cells=cells, notices=(Notice("x" * 300),)), width)
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_a_student_s_text_is_shown_literally() -> None:
    hostile = Report(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        (File(HOSTILE, "0" * 64),),
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
                    "training": {
                        **dict.fromkeys(("recipe", "evidence"), HOSTILE),
                        "runs": [{"seed": HOSTILE, "accuracy": 0.1, "epochs": [1], "loss": [HOSTILE]}],
                        "own": [{"file": HOSTILE, "optimizer": HOSTILE, "findings": [{"text": HOSTILE}]}],
                    },
                },
            ),
        ),
        (CellResult(HOSTILE, 1, HOSTILE, HOSTILE),),
        (LayerStatus(HOSTILE, False, HOSTILE),),
        (HOSTILE,),
        (Notice(HOSTILE),),
    )
    text = printed(hostile, 200)
    assert not set(text) & set("\x1b\x07\x00\r\u202e\ud800")
    assert text.count("[bold]:smile:[/bold]") >= 10


def test_a_report_without_items_is_printed() -> None:
    assert "0 / 0 points" in printed(report_of())
