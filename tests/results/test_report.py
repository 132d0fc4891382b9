"""Reports: what they add up to, and JSON that is the same for the same report and fits its schema."""

import json
import math
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from grader.errors import InputError
from grader.place import Place
from grader.results import report
from grader.results.notice import CellStop, Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict, load_report_schema
from grader.sandbox.protocol.layers import LayerStatus

HOSTILE = "<script>\x00\x1b[31m\u202e\ud800 과제 \n"


def item(points: float, max_points: float, verdict: Verdict, **others: Any) -> ItemResult:
    return ItemResult("corr2d.values", "7.2.1", "Cross-correlation", points, max_points, verdict, "message", **others)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items, **others)


FULL = Report(
    assignment="hw2",
    title=HOSTILE,
    revision="revision",
    files=(File(HOSTILE, "0" * 64, 5), File("b.ipynb", "f" * 64)),
    items=(
        item(6, 6, Verdict.PASSED, file="hw2.ipynb", cell=0, line=3, code=HOSTILE),
        item(0.1, 0.75, Verdict.PARTIAL, evidence={"found": {"shape": [1], "dtype": "float32", "values": ["nan"]}}),
        item(0, 8, Verdict.PENDING, evidence={HOSTILE: [HOSTILE, None, True, -1.5]}),
        item(
            0,
            1,
            Verdict.FAILED,
            misconception="flipped_kernel",
            because_of="corr2d.values",
            would_earn=1.0,
            tests={"test_a": Verdict.PASSED, HOSTILE: Verdict.ERROR},
        ),
    ),
    cells=(CellResult("hw2.ipynb", 3, "ok"), CellResult("hw2.ipynb", 4, "raised", HOSTILE, (CellStop(3, HOSTILE),))),
    layers=(LayerStatus("seccomp", True), LayerStatus("cgroup", False, "not delegated")),
    limits_hit=("cell 4 ran past 60 s",),
    notices=(Notice(HOSTILE),),
    timing={"seconds": 0.71},
    key="0123456789abcdef",
    device="NVIDIA H200",
)


def test_the_public_names_are_sorted() -> None:
    assert report.__all__ == sorted(report.__all__)


def test_points_add_up() -> None:
    assert (FULL.score, FULL.max_score, FULL.pending_points) == (6.1, 15.75, 8)


def test_sums_of_fractions_are_whole_where_they_should_be() -> None:
    sums = report_of(*[item(0.1, 0.1, Verdict.PASSED)] * 10)
    assert sums.score == 1
    assert '"score": 1,' in sums.to_json()


def test_a_report_passes_when_all_that_was_judged_passed() -> None:
    passed, pending = item(1, 1, Verdict.PASSED), item(0, 1, Verdict.PENDING)
    assert report_of(passed, pending).passed
    for verdict in (Verdict.FAILED, Verdict.PARTIAL, Verdict.ABSENT, Verdict.ERROR):
        assert not report_of(passed, pending, item(0, 1, verdict)).passed


@pytest.mark.parametrize("report", [FULL, report_of(), report_of(item(1, 1, Verdict.ABSENT))])
def test_reading_the_json_gives_the_report_again(report: Report) -> None:
    assert Report.from_json(report.to_json()) == report
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    assert all(isinstance(read.verdict, Verdict) for read in Report.from_json(report.to_json()).items)


@pytest.mark.parametrize("report", [FULL, report_of()])
def test_reports_fit_the_published_schema(report: Report) -> None:
    schema = load_report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(report.to_json()), schema, jsonschema.Draft202012Validator)
    jsonschema.validate(json.loads(report.canonical()), schema, jsonschema.Draft202012Validator)


def test_the_schema_allows_nothing_else_and_describes_everything() -> None:
    objects = [load_report_schema(), *load_report_schema()["$defs"].values()]
    for schema_part in objects:
        if schema_part.get("type") == "object":
            assert schema_part["additionalProperties"] is False
            assert all("description" in part or "$ref" in part for part in schema_part["properties"].values())
    assert set(objects[0]["properties"]) == set(FULL.to_dict())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**FULL.to_dict(), "more": 1}, load_report_schema())


def test_the_names_of_tests_stay_with_us() -> None:
    assert FULL.items[-1].tests
    assert "test_a" not in FULL.to_json()
    assert all("tests" not in values for values in FULL.to_dict()["items"])


def test_json_is_canonical() -> None:
    text = FULL.to_json()
    values = json.loads(text)
    assert text.encode()
    assert text.endswith("}\n")
    assert list(values) == sorted(values)
    assert "과제" in text
    assert values["score"] == 6.1
    assert (values["schema"], values["cell_index_base"]) == ("4", 0)
    other_order = replace(FULL, timing=dict(reversed({**FULL.timing, "a": 1}.items())))
    assert other_order.to_json() == replace(FULL, timing={"a": 1, **FULL.timing}).to_json()


def test_points_are_rounded_and_whole_ones_are_integers() -> None:
    values = report_of(item(1 / 3, 2.0, Verdict.PARTIAL)).to_dict()["items"][0]
    assert values["points"] == 0.3333
    assert values["max_points"] == 2
    assert isinstance(values["max_points"], int)


def test_the_canonical_form_leaves_out_times_only() -> None:
    later = replace(FULL, timing={"seconds": 9.0})
    assert later.to_json() != FULL.to_json()
    assert later.canonical() == FULL.canonical()
    assert set(json.loads(FULL.canonical())) == set(FULL.to_dict()) - {"timing"}


def test_numbers_that_are_not_finite_become_text_in_evidence() -> None:
    evidence = {"a": [math.nan, math.inf, (-math.inf,)]}
    assert report_of(item(0, 1, Verdict.FAILED, evidence=evidence)).to_dict()["items"][0]["evidence"] == {
        "a": ["nan", "inf", ["-inf"]]
    }


@pytest.mark.parametrize("points", [math.nan, math.inf])
def test_points_that_are_not_finite_are_our_fault(points: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        report_of(item(points, 1, Verdict.PASSED)).to_json()


def as_schema(number: str) -> dict[str, Any]:
    """Return the values of FULL as earlier versions wrote them."""
    values = FULL.to_dict()
    del values["cell_index_base"]
    for part in (*values["files"], *values["companions"]):
        del part["cells"]
    for part in values["items"]:
        for name in ("line", "code", "because_of", "would_earn"):
            del part[name]
    return {**values, "schema": number}


def test_a_report_of_schema_3_can_be_read_and_names_no_lines() -> None:
    read = Report.from_json(json.dumps(as_schema("3")))
    assert {(item.line, item.code, item.because_of, item.would_earn) for item in read.items} == {(None, "", None, None)}
    assert [file.cells for file in read.files] == [None, None]
    assert [(item.file, item.cell) for item in read.items] == [(item.file, item.cell) for item in FULL.items]
    assert read.key == FULL.key


def test_a_report_of_schema_2_can_be_read_and_names_no_key() -> None:
    values = as_schema("2")
    del values["key"]
    assert Report.from_json(json.dumps(values)) == replace(Report.from_json(json.dumps(as_schema("3"))), key="")


def test_a_report_that_counts_cells_otherwise_is_refused() -> None:
    with pytest.raises(InputError, match="counts cells from 1"):
        Report.from_json(json.dumps({**FULL.to_dict(), "cell_index_base": 1}))


def test_an_item_has_a_place_if_its_cell_is_known() -> None:
    placed = item(0, 1, Verdict.FAILED).stand_at(Place("hw2.ipynb", 16, 9, "return Y", "corr2d"))
    assert placed.place == Place("hw2.ipynb", 16, 9, "return Y")
    assert placed.stand_at(None) == item(0, 1, Verdict.FAILED)
    assert item(0, 1, Verdict.FAILED, file="hw2.ipynb").place is None


def test_the_number_of_cells_is_that_of_the_named_file() -> None:
    assert [FULL.count_cells(name) for name in (HOSTILE, "b.ipynb", "c.ipynb", None)] == [5, None, None, None]


def named(name: str, because_of: str | None = None) -> ItemResult:
    return ItemResult(name, "1", name, 0, 1, Verdict.FAILED, "wrong", because_of=because_of)


def test_what_to_mend_first_is_what_most_items_hang_on() -> None:
    items = [
        named("pool2d.max"),
        named("pool2d.avg", "pool2d.max"),
        named("corr2d"),
        named("corr2d_multi_in", "corr2d"),
        named("corr2d_multi_in_out", "corr2d_multi_in"),
        named("alone"),
        named("of_nothing", "unknown"),
    ]
    pairs = [(cause.id, [one.id for one in hanging]) for cause, hanging in report_of(*items).mend_first]
    assert pairs == [("corr2d", ["corr2d_multi_in", "corr2d_multi_in_out"]), ("pool2d.max", ["pool2d.avg"])]


def test_items_that_are_each_others_causes_hang_on_nothing() -> None:
    assert report_of(named("a", "b"), named("b", "a"), named("c", "c")).mend_first == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "1"}', '{"schema": "2"}', "null", FULL.canonical()])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Report.from_json(text)


def test_an_item_that_is_lost_because_of_another_says_nothing_but_that() -> None:
    hanging = replace(named("corr2d_multi_in", "corr2d.values"), max_points=4)
    assert hanging.reason == "because of corr2d (corr2d.values)"
    assert replace(hanging, would_earn=4).reason == ("because of corr2d (corr2d.values); 4 of 4 with a right corr2d")
    both = replace(hanging, message="because of Corr2d (corr2d.values) and pool (pool2d.max)", would_earn=4)
    assert both.reason == f"{both.message}; 4 of 4 with a right Corr2d and pool"
    assert replace(hanging, verdict=Verdict.PASSED).reason == "wrong"
    assert named("corr2d.values").reason == "wrong"
