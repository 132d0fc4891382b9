"""Outputs of cells arrive as plain data within limits, and anything else is dropped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import nbformat
import pytest

from grader.sandbox.protocol.encoding import Array, Failure, Handle, decode, encode
from grader.sandbox.protocol.outputs import CUT, KeptOutputs
from tests.support.sandbox_runs import LIMITS, Run

TIGHT = dataclasses.replace(LIMITS, cell_output_bytes=5_000, notebook_output_bytes=30_000)
PICTURE = "iVBORw0KGgo="
PNG = {"output_type": "display_data", "data": {"image/png": PICTURE}, "metadata": {}}


def stream(text: str, name: str = "stdout") -> dict[str, str]:
    return {"output_type": "stream", "name": name, "text": text}


def kept(*outputs: Any) -> list[Mapping[str, Any]]:
    return list(KeptOutputs(TIGHT).keep("homework.ipynb", 0, outputs))


def size(outputs: Sequence[Mapping[str, Any]]) -> int:
    return len(json.dumps(outputs))


def test_text_printed_in_a_row_is_one_output_and_the_order_of_the_streams_stays() -> None:
    outputs = [stream("a"), stream("A"), stream("b", "stderr"), stream("c"), PNG, stream("d"), stream("e")]
    made = kept(*outputs)
    assert [each.get("text") for each in made] == ["aA", "b", "c", None, "de"]
    assert made[3]["data"] == {"text/plain": "", "image/png": PICTURE}


def test_a_cell_that_goes_on_changing_between_the_streams_fills_no_list() -> None:
    made = KeptOutputs(LIMITS).keep("homework.ipynb", 0, [stream("o"), stream("e", "stderr")] * 500)
    assert len(made) <= 52
    assert "".join(each["text"] for each in made if each["name"] == "stdout") == "o" * 500
    assert "".join(each["text"] for each in made if each["name"] == "stderr") == "e" * 500


def test_only_text_pictures_and_inert_markup_are_taken_over() -> None:
    data = {"text/html": "<script>x</script>", "text/plain": ["a\n", "b"], "application/javascript": "alert(1)"}
    (made,) = kept({"output_type": "execute_result", "data": data, "metadata": {"x": 1}, "transient": {}})
    assert made["data"] == {"text/plain": "a\nb"}
    assert made["metadata"] == {}
    (unknown,) = kept({"output_type": "display_data", "data": {"application/javascript": "alert(1)"}})
    assert "does not keep" in unknown["data"]["text/plain"]


def test_a_table_is_kept_without_anything_that_acts() -> None:
    table = (
        "<table onload='x()'><style>td { position: fixed }</style><tr><td colspan=2 style='top: 0'>1 &lt; 2</td></tr>"
    )
    markup = {"text/markdown": "**b**", "text/latex": "$x$"}
    (made,) = kept({"output_type": "display_data", "data": {"text/html": table, "text/plain": "1", **markup}})
    inert = '<table><tr><td colspan="2">1 &lt; 2</td></tr></table>'
    assert made["data"] == {"text/plain": "1", "text/html": inert, **markup}


def test_a_table_that_is_too_long_is_shown_as_text() -> None:
    (made, *_) = kept({"output_type": "display_data", "data": {"text/html": "<td>" * 10_000, "text/plain": "short"}})
    assert made["data"] == {"text/plain": "short"}


def test_what_commands_a_terminal_is_taken_out() -> None:
    trace = ["\x1b[31mValueError\x1b[0m", "\x1b]0;title\x07x\x00"]
    (made,) = kept({"output_type": "error", "ename": "ValueError", "evalue": "\x1b[1mno", "traceback": trace})
    assert (made["ename"], made["evalue"]) == ("ValueError", "no")
    assert made["traceback"] == ["ValueError\n]0;titlex"]


def test_the_number_of_the_kernel_s_process_is_taken_out_of_warnings() -> None:
    (made,) = kept(stream("/tmp/ipykernel_4711/123.py:1: UserWarning: x", "stderr"))
    assert "4711" not in made["text"]


def test_ten_thousand_small_outputs_are_cut_to_some_and_the_error_at_the_end_stays() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    made = kept(*[PNG] * 10_000, error)
    assert len(made) <= 102
    assert made[-1] == CUT
    assert kept(*[stream("x")] * 4_000) == [stream("x" * 4_000)]


def test_a_long_text_is_kept_as_far_as_it_fits_and_a_large_picture_is_not() -> None:
    text, last = kept(stream("가" * 100_000))
    assert set(text["text"]) == {"가"}
    assert 4_000 < len(text["text"].encode()) <= 5_000
    assert last == CUT
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 100_000, "text/plain": "<Figure>"}}
    assert [each["data"] for each in kept(picture)] == [{"text/plain": "<Figure>"}, CUT["data"]]


def test_what_is_kept_is_bounded_for_a_cell_and_for_a_notebook() -> None:
    all_cells = KeptOutputs(TIGHT)
    for cell in range(100):
        made = all_cells.keep("homework.ipynb", cell, [stream("x" * 4_000), PNG, stream("y" * 4_000), PNG] * 3)
        assert size(made) < 2 * TIGHT.cell_output_bytes + 500
    assert sum(size(outputs) for outputs in all_cells.cells.values()) < TIGHT.notebook_output_bytes + 100 * 200
    assert all_cells.cells["homework.ipynb", 99] == (CUT,)
    assert all_cells.keep("other.ipynb", 0, [stream("x")]) == (stream("x"),)


def test_what_a_cell_showed_first_stays() -> None:
    both = KeptOutputs(TIGHT)
    both.keep("homework.ipynb", 0, [stream("first")])
    assert both.keep("homework.ipynb", 0, [stream("second")]) == (stream("first"),)


def test_a_later_cell_updates_what_an_earlier_one_showed_within_the_same_bounds() -> None:
    both = KeptOutputs(TIGHT)
    both.keep("homework.ipynb", 0, [stream("x" * 3_000)])
    assert both.update("homework.ipynb", 0, [stream("new")]) == (stream("new"),)
    assert both.update("homework.ipynb", 1, [stream("of no cell")]) == ()
    for _ in range(50):
        updated = both.update("homework.ipynb", 0, [stream("y" * 9_000)])
    assert both.cells["homework.ipynb", 0] == updated
    assert size(updated) < 2 * TIGHT.cell_output_bytes
    assert size(both.keep("homework.ipynb", 2, [stream("z" * 4_000)])) > 4_000


def test_picking_what_was_picked_and_sent_changes_nothing() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "x", "traceback": ["a", "b"]}
    result = {"output_type": "execute_result", "data": {"text/plain": "1", "image/svg+xml": "<svg/>"}}
    table = {"output_type": "display_data", "data": {"text/html": '<p>a &amp;lt; <b>"b</p>', "text/latex": "$x$"}}
    for outputs in (
        [table, stream("a")],
        [stream("a", "stderr"), stream("b"), PNG, result, error],
        [stream("x" * 9_000)],
        [PNG] * 1_000,
    ):
        once = KeptOutputs(TIGHT).keep("homework.ipynb", 0, outputs)
        sent = decode(encode(once))
        assert KeptOutputs(TIGHT).keep("homework.ipynb", 0, sent) == once


FORGED: dict[str, Any] = {
    "nothing": None,
    "a number": 5,
    "a text": "stream",
    "an array": Array("uint8", (1,), b"x"),
    "numbers": (1, 2.0, None, True),
    "arrays": (Array("uint8", (1,), b"x"), Handle(1, "", ""), Failure("", "")),
    "outputs of no kind": ({}, {"output_type": 5}, {"output_type": ()}, {"output_type": "comm"}),
    "a stream of numbers": ({"output_type": "stream", "name": {}, "text": 5},),
    "data that is none": ({"output_type": "display_data", "data": ()},),
    "a picture of bytes": ({"output_type": "display_data", "data": {"image/png": Array("uint8", (1,), b"x")}},),
    "a picture that is an address": ({"output_type": "display_data", "data": {"image/png": "javascript:alert(1)"}},),
    "an error of tuples": ({"output_type": "error", "ename": (), "evalue": {}, "traceback": {"a": 1}},),
    "half a surrogate pair": (stream("\ud800"),),
    "nested data": ({"output_type": "display_data", "data": {"text/plain": (("a",), ("b",))}},),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_whatever_arrives_is_valid_or_left_out(forged: Any) -> None:
    made = KeptOutputs(TIGHT).keep("homework.ipynb", 0, decode(encode(forged)))
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "",
        "execution_count": None,
        "outputs": made,
    }
    document = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    nbformat.validate(json.loads(json.dumps(document).encode()))
    assert "javascript" not in json.dumps(made)


def test_what_cells_show_comes_out_of_the_sandbox(run: Run) -> None:
    made = run(
        "def f(): return 1\nimport sys\nprint('out')\nprint('err', file=sys.stderr)\nf()",
        "import matplotlib.pyplot as plt\n%matplotlib inline\nplt.plot([1, 2]); plt.show()",
        "raise ValueError('no')",
        "display({'text/html': '<b>', 'image/svg+xml': '<svg/>'}, raw=True)",
    )
    out, err, result = made.showed(0)
    assert (out, err, result["data"]) == (stream("out\n"), stream("err\n", "stderr"), {"text/plain": "1"})
    assert made.showed(1)[-1]["data"]["image/png"].startswith("iVBOR")
    (error,) = made.showed(2)
    assert (error["ename"], error["evalue"]) == ("ValueError", "no")
    assert "ValueError: no" in error["traceback"][0]
    assert made.showed(3)[0]["data"] == {"text/plain": "", "image/svg+xml": "<svg/>"}


def test_a_flood_is_cut_and_says_so(run: Run) -> None:
    tight = dataclasses.replace(TIGHT, cell_seconds=3)
    made = run("for n in range(10_000): display(n)", "print('x' * 100_000)", "print('later')", limits=tight)
    assert CUT in made.showed(0)
    assert size(made.showed(0)) < 2 * TIGHT.cell_output_bytes + 500
    assert size(made.showed(1)) < 2 * TIGHT.cell_output_bytes + 500
    assert made.statuses()[2] == "ok"


def test_what_was_shown_before_a_kernel_broke_is_there_once(run: Run) -> None:
    made = run("print('one')", "print('two')\nimport os\nos._exit(1)", "print('three')")
    assert made.statuses() == ["ok", "ended the kernel", "ok"]
    assert [made.showed(cell) for cell in (0, 2)] == [[stream("one\n")], [stream("three\n")]]


def test_two_runs_show_the_same(run: Run) -> None:
    cells = (
        "import sys, time\nfor n in range(5): print(n); print(-n, file=sys.stderr); time.sleep(0.1)",
        "import warnings, torch\nwarnings.warn('careful')\ntorch.rand(3)",
        "def f(x): return 1 / x\nf(0)",
    )
    first, second = (run(*cells) for _ in range(2))
    assert [first.showed(cell) for cell in range(3)] == [second.showed(cell) for cell in range(3)]


@pytest.mark.parametrize("seen", [True, False])
def test_no_text_is_made_of_what_nobody_sees(run: Run, seen: bool) -> None:
    made = run(
        "asked = []\nclass Thing:\n    def __repr__(self): return asked.append(1) or 'thing'",
        "def f(): return len(asked)",
        "Thing()",
        "display(Thing(), Thing())\nassert isinstance(_, Thing)",
        seen=seen,
    )
    assert made.statuses() == ["ok"] * 4
    assert (made.call("f", at_end=True) > 0) is seen
