"""Any evidence is shown in small matrices, with differences marked."""

from typing import Any

import pytest

from grader.render import evidence
from grader.render.evidence import Exhibit, MatrixEntry, make_exhibits, read_cases


def tensor(values: Any, *shape: int, dtype: str = "float32") -> dict[str, Any]:
    return {"shape": list(shape), "dtype": dtype, "values": values}


def labels(shown: dict[str, Any]) -> list[list[str]]:
    return [[exhibit.label for exhibit in group] for group in make_exhibits(shown)]


def only(shown: dict[str, Any]) -> Exhibit:
    ((exhibit,),) = make_exhibits(shown)
    return exhibit


def test_the_public_names_are_sorted() -> None:
    assert evidence.__all__ == sorted(evidence.__all__)


def test_no_evidence_shows_nothing() -> None:
    assert make_exhibits({}) == ()
    assert make_exhibits({"awaits_person": "the message says it already"}) == ()


def test_case_inputs_results_and_others_come_in_this_order() -> None:
    shown = {"note_2": "x", "found": 1, "expected": 2, "inputs": {"X": 1, "K": 2}, "case": "the book's example"}
    assert labels(shown) == [["case"], ["X", "K"], ["expected", "found"], ["note 2"]]


def test_the_smallest_case_comes_before_the_other() -> None:
    small = {"inputs": {"X": 1}, "expected": 2, "found": 3}
    shown = {"case": "the book's example", "inputs": {"X": 4}, "smallest": small, "note": "x"}
    assert labels(shown) == [["smallest"], ["X"], ["expected", "found"], ["case"], ["X"], ["note"]]
    assert make_exhibits(shown)[0][0].text == "the smallest input that goes wrong"
    assert read_cases({"smallest": {**small, "case": "a pixel"}})[0].text == "a pixel"
    assert labels({"smallest": "nothing"}) == [["smallest"]]


def test_a_tensor_is_a_matrix_with_its_shape_and_dtype() -> None:
    exhibit = only({"X": tensor([[1.0, 2.5], ["nan", -0.3333]], 2, 2)})
    assert exhibit.text == "(2, 2) float32"
    assert [[entry.text for entry in row] for row in exhibit.rows] == [["1", "2.5"], ["nan", "-0.3333"]]


@pytest.mark.parametrize(("values", "shape"), [(3.0, ()), ([3.0], (1,)), ([[3.0]], (1, 1))])
def test_numbers_and_vectors_are_matrices_of_one_row(values: Any, shape: tuple[int, ...]) -> None:
    assert only({"X": tensor(values, *shape)}).rows == ((MatrixEntry("3", value=3.0),),)


def test_a_shape_is_written_as_python_does() -> None:
    assert [only({"X": tensor(None, *shape)}).text for shape in ((), (3,), (64, 64))] == [
        "() float32",
        "(3,) float32",
        "(64, 64) float32",
    ]
    assert only({"X": {"shape": [8, 8]}}).text == "(8, 8)"


def test_a_tensor_of_more_dimensions_is_shown_matrix_by_matrix() -> None:
    cube = tensor([[[1, 2]], [[3, 4]]], 2, 1, 2)
    assert labels({"expected": cube, "found": cube}) == [["expected[0]", "expected[1]"], ["found[0]", "found[1]"]]


def test_entries_that_differ_are_marked() -> None:
    expected, found = tensor([[19.0, 25.0], [37.0, 43.0]], 2, 2), tensor([[19.0001, 5.0], ["nan", 43.0]], 2, 2)
    ((right, wrong),) = make_exhibits({"expected": expected, "found": found})
    assert [[entry.differs for entry in row] for row in wrong.rows] == [[False, True], [True, False]]
    assert not any(entry.differs for row in right.rows for entry in row)


def test_infinities_and_integers_without_end_are_compared() -> None:
    expected, found = tensor(["inf", 2.5, "nan", "-inf"], 4), tensor([1.0, 10**400, "nan", "inf"], 4)
    ((_, wrong),) = make_exhibits({"expected": expected, "found": found})
    assert [entry.differs for entry in wrong.rows[0]] == [True, True, False, True]


def test_another_shape_differs_as_a_whole() -> None:
    ((_, wrong),) = make_exhibits({"expected": {"shape": [8, 8]}, "found": tensor([[1.0]], 1, 1)})
    assert wrong.differs
    assert not any(entry.differs for row in wrong.rows for entry in row)


def test_plain_values_differ_as_a_whole() -> None:
    ((_, wrong),) = make_exhibits({"expected": [1, 2], "found": [1, 3]})
    assert wrong.differs
    ((_, right),) = make_exhibits({"expected": "x", "found": "x"})
    assert not right.differs


def test_tensors_in_lists_and_objects_are_compared_one_by_one() -> None:
    expected, found = (
        {"weight": tensor([1], 1), "more": [tensor([2], 1)]},
        {"weight": tensor([1], 1), "more": [tensor([3], 1)]},
    )
    groups = make_exhibits({"expected": expected, "found": found})
    assert [exhibit.label for exhibit in groups[1]] == ["found[weight]", "found[more][0]"]
    assert [exhibit.rows[0][0].differs for exhibit in groups[1]] == [False, True]


def test_large_matrices_are_cut() -> None:
    exhibit = only({"X": tensor([[0] * 1000] * 1000, 1000, 1000)})
    assert len(exhibit.rows) == 13
    assert {len(row) for row in exhibit.rows} == {13}
    assert exhibit.rows[12][12].text == exhibit.rows[0][12].text == "…"
    assert len(make_exhibits({"X": tensor([[[0]]] * 1000, 1000, 1, 1)})[0]) == 12


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        {},
        [[]],
        tensor([[1], [1, 2]], 2, 2),
        tensor([1, [2]], 2),
        tensor({"a": 1}, 2),
        tensor("text", 1),
        tensor([], 0),
        tensor([[], []], 2, 0),
        {"shape": "text"},
        {"shape": [None, "x"], "values": 3},
        {"shape": 3},
        {"deep": [[[[[[[[[[tensor([1], 1)]]]]]]]]]]},
        10**400,
        "\x1b[31m\ud800\u202e",
    ],
)
def test_any_evidence_can_be_shown(value: Any) -> None:
    for shown in (
        {"found": value, "expected": value},
        {"inputs": value},
        {"inputs": {"X": value}},
        {"case": value},
        {"smallest": value},
    ):
        for group in make_exhibits(shown):
            for exhibit in group:
                assert all(isinstance(entry.text, str) for row in exhibit.rows for entry in row)
                exhibit.text.encode()
