"""Matrices are drawn with tints on comparable scales, and with differences in words too."""

from typing import Any

import pytest

from grader.render.picture import STEPS, Picture, Scene, make_scenes


def tensor(values: Any, *shape: int) -> dict[str, Any]:
    return {"shape": list(shape), "dtype": "float32", "values": values}


def only(evidence: dict[str, Any]) -> Scene:
    (scene,) = make_scenes(evidence)
    return scene


def labels(scene: Scene) -> list[list[str]]:
    return [[drawn.label for drawn in group] for group in scene.results]


def tints(drawn: Picture) -> list[list[str]]:
    return [[cell.tint for cell in row] for row in drawn.rows]


def texts(drawn: Picture) -> list[list[str]]:
    return [[cell.text for cell in row] for row in drawn.rows]


def test_no_evidence_is_no_scene() -> None:
    assert make_scenes({}) == ()


def test_tints_are_symmetric_around_0() -> None:
    (drawn,) = only({"inputs": {"X": tensor([[-2.0, -1.0, 0.0], [0.001, 1.0, 2.0]], 2, 3)}}).inputs
    half = STEPS // 2
    assert tints(drawn) == [[f"below-{STEPS}", f"below-{half}", "zero"], ["zero", f"above-{half}", f"above-{STEPS}"]]


def test_expected_and_found_share_a_scale_and_inputs_do_not() -> None:
    scene = only(
        {"inputs": {"X": tensor([1.0], 1), "K": tensor([9.0], 1)}, "expected": tensor([1], 1), "found": tensor([6], 1)}
    )
    assert [tints(drawn) for drawn in scene.inputs] == [[[f"above-{STEPS}"]]] * 2
    ((expected, found, _),) = scene.results
    assert (tints(expected), tints(found)) == ([["above-1"]], [[f"above-{STEPS}"]])


def test_the_matrices_of_one_tensor_share_a_scale() -> None:
    drawn = only({"inputs": {"X": tensor([[[1.0]], [[6.0]]], 2, 1, 1)}}).inputs
    assert [tints(each) for each in drawn] == [[["above-1"]], [[f"above-{STEPS}"]]]


def test_numbers_that_are_not_finite_have_a_tint_of_their_own() -> None:
    (drawn,) = only({"X": tensor([["nan", "inf", "-inf", 1.0, None, True, 10**400]], 1, 7)}).others
    assert tints(drawn) == [["unusual", "unusual", "unusual", f"above-{STEPS}", "", "", "unusual"]]


@pytest.mark.parametrize("extreme", [1.7e308, 5e-324])
def test_extreme_numbers_can_be_drawn(extreme: float) -> None:
    scene = only({"expected": tensor([extreme], 1), "found": tensor([-extreme], 1)})
    assert [tints(drawn) for drawn in scene.results[0][:2]] == [[[f"above-{STEPS}"]], [[f"below-{STEPS}"]]]


def test_the_difference_follows_what_was_found() -> None:
    scene = only({"expected": tensor([[19.0, 25.0, 1.0]], 1, 3), "found": tensor([[5.0, 25.0001, 1.5]], 1, 3)})
    assert labels(scene) == [["expected", "found", "difference"]]
    difference = scene.results[0][2]
    assert texts(difference) == [["-14", "0", "+0.5"]]
    assert difference.text == "found - expected"


def test_differences_of_infinite_numbers_are_not_finite() -> None:
    expected, found = tensor([1.0, "inf", "nan", 1.0], 4), tensor(["nan", "inf", "nan", "-inf"], 4)
    assert texts(only({"expected": expected, "found": found}).results[0][2]) == [["nan", "0", "0", "-inf"]]


def test_matrices_of_one_tensor_are_compared_one_by_one() -> None:
    cube = tensor([[[1, 2]], [[3, 4]]], 2, 1, 2)
    assert labels(only({"expected": cube, "found": cube})) == [
        ["expected[0]", "found[0]", "difference[0]"],
        ["expected[1]", "found[1]", "difference[1]"],
    ]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (tensor([[1, 2]], 1, 2), tensor([[1], [2]], 2, 1)),
        ({"shape": [1, 2]}, tensor([[1], [2]], 2, 1)),
        (tensor([[[1]], [[2]]], 2, 1, 1), tensor([[1, 2]], 1, 2)),
        (3, 4),
    ],
)
def test_another_shape_has_no_difference_and_both_are_marked(expected: Any, found: Any) -> None:
    drawn = [each for group in only({"expected": expected, "found": found}).results for each in group]
    assert not any(each.label.startswith("difference") for each in drawn)
    assert all(each.wanted for each in drawn if each.label.startswith("expected"))
    assert all(each.differs for each in drawn if each.label.startswith("found"))


@pytest.mark.parametrize("evidence", [{"expected": tensor([True], 1), "found": tensor([False], 1)}, {"found": 1}])
def test_values_that_cannot_be_subtracted_have_no_difference(evidence: dict[str, Any]) -> None:
    assert not any("difference" in label for group in labels(only(evidence)) for label in group)


def test_a_picture_says_in_words_what_it_shows() -> None:
    scene = only({"expected": tensor([[1, 2]], 1, 2), "found": tensor([[1, 3]], 1, 2)})
    assert [drawn.spoken for drawn in scene.results[0]] == [
        "expected, (1, 2) float32",
        "found, (1, 2) float32, 1 of 2 entries differ",
        "difference, found - expected",
    ]


def test_the_smallest_case_comes_first() -> None:
    small = {"inputs": {"X": tensor([1], 1)}, "expected": tensor([1], 1), "found": tensor([2], 1)}
    first, second = make_scenes({"case": "the book's example", "found": 3, "smallest": small})
    assert (first.label, first.text) == ("smallest", "the smallest input that goes wrong")
    assert labels(first) == [["expected", "found", "difference"]]
    assert (second.label, second.text) == ("case", "the book's example")


def test_stages_are_not_drawn_twice() -> None:
    layers = [{"layer": "linear", "expected": [10], "found": [9]}]
    assert not only({"case": "a network", "stages": layers}).others
    assert [drawn.label for drawn in only({"stages": "of a rocket"}).others] == ["stages"]


def test_only_numbers_need_a_legend() -> None:
    assert only({"X": tensor([1], 1)}).is_tinted
    assert not only({"found": 3, "X": tensor(None, 100, 100)}).is_tinted
