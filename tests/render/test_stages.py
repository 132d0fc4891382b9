"""The layers of a network are listed, and the first difference is marked."""

from typing import Any

import pytest

from grader.render.stages import LayerRow, read_stages


def layer(expected: Any, found: Any, name: Any = "convolution") -> dict[str, Any]:
    return {"layer": name, "expected": expected, "found": found}


def read(*layers: Any) -> tuple[LayerRow, ...]:
    return read_stages({"stages": list(layers)})


def test_each_layer_has_both_shapes() -> None:
    (stage,) = read(layer([64, 112, 112], [64, 224, 224]))
    assert (stage.layer, stage.expected, stage.found) == ("convolution", "64x112x112", "64x224x224")


def test_only_the_first_difference_is_marked_as_first() -> None:
    drawn = read(layer([1], [1]), layer([2], [3]), layer([4], [4]), layer([5], None))
    assert [stage.differs for stage in drawn] == [False, True, False, True]
    assert [stage.is_first for stage in drawn] == [False, True, False, False]


def test_a_layer_may_be_on_one_side_only() -> None:
    missing, additional = read(layer([10], None), layer(None, [10]))
    assert (missing.found, additional.expected) == ("nothing", "nothing")
    assert missing.differs
    assert additional.differs


def test_bars_are_as_wide_as_there_are_channels() -> None:
    drawn = read(layer([64, 8, 8], [128, 8, 8]), layer([2, 1, 256, 4, 4], None), layer([10], [10]))
    assert [stage.widths for stage in drawn] == [(25, 50), (100, 0), None]


def test_the_narrowest_bar_can_be_seen() -> None:
    assert read(layer([1, 1, 1], [10**600, 1, 1]))[0].widths == (1, 100)


def test_cut_evidence_does_not_differ() -> None:
    drawn = read(layer([64, 8, 8], [64, "…", "…"]), layer([64, 8, 8], "…"), "…")
    assert not any(stage.differs for stage in drawn)
    assert drawn[-1].layer == "…"
    assert len(read(*[layer([1], [1])] * 1000)) == 65


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, [1, "x"], [[]]])
def test_evidence_without_layers_has_no_rows(value: Any) -> None:
    assert read_stages({"stages": value}) == read_stages({}) == ()


@pytest.mark.parametrize("value", [None, True, -1, "\x1b[31m\ud800", {"a": 1}, [], [[]], [None, "x", {}], [[1], 2, 3]])
def test_malformed_layers_can_be_shown(value: Any) -> None:
    for stage in read(layer(value, value, value), layer(value, [64, 8, 8], None), {}):
        "".join((stage.layer, stage.expected, stage.found)).encode()
