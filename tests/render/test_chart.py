"""Charts draw numbers to scale, leave gaps for NaN, and describe themselves in words."""

from __future__ import annotations

import math
import re

import pytest

from grader.render.chart import DRAWN_WAYS, ChartLine, draw_chart, format_short, make_scale

NAN, INF = math.nan, math.inf


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


def test_the_first_and_the_last_point_touch_the_frame() -> None:
    chart = draw_chart("loss", "epoch", [ChartLine("seed 0", [0.0, 1.0, 2.0], [4.0, 1.0, 0.0])])
    left, top, right, bottom = chart.frame
    (stroke,) = chart.strokes
    assert points(stroke.path) == [(left, top), ((left + right) / 2, bottom - (bottom - top) / 4), (right, bottom)]


def test_nan_is_a_gap_and_a_single_point_a_dot() -> None:
    chart = draw_chart("loss", "epoch", [ChartLine("seed 0", range(7), [1.0, NAN, 2.0, INF, 3.0, 4.0, -INF])])
    (stroke,) = chart.strokes
    assert stroke.path.count("M") == 3
    assert stroke.path.count("h0") == 3
    assert stroke.path.count("L") == 1
    assert "nan" not in stroke.path
    assert "inf" not in stroke.path


@pytest.mark.parametrize("values", [[NAN, INF], [], [0.0], [-3.0, -1.0], [1e308, -1e308], [5e-324], [2.0] * 50])
def test_every_chart_has_places_and_marks_that_are_numbers(values: list[float]) -> None:
    chart = draw_chart(
        "loss", "epoch", [ChartLine("a", range(len(values)), values, end=values[0] if values else None)], 0.5
    )
    places = [place for place, _ in (*chart.x_marks, *chart.y_marks)]
    places += [each for stroke in chart.strokes for point in points(stroke.path) for each in point]
    places += [each for stroke in chart.strokes for each in stroke.end or ()]
    assert chart.x_marks
    assert chart.y_marks
    assert len(places) < 150
    assert all(-1 <= place <= max(chart.size) + 1 for place in places)


def test_marks_are_round_numbers_within_the_frame() -> None:
    for farthest, expected in (
        (1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (10.0, ["0", "2", "4", "6", "8", "10"]),
        (3.0, ["0", "1", "2", "3"]),
    ):
        chart = draw_chart("accuracy", "epoch", [ChartLine("a", [0.0, farthest], [0.0, 1.0])])
        assert [text for _, text in chart.x_marks] == expected
        assert chart.x_marks[0][0] == chart.frame[0]
        assert chart.x_marks[-1][0] == pytest.approx(chart.frame[2])


def test_a_threshold_outside_the_axis_is_left_out() -> None:
    line = ChartLine("a", [0.0, 1.0], [0.0, 1.0])
    chart = draw_chart("accuracy", "epoch", [line], 0.5, top=1.0)
    assert chart.threshold == ((chart.frame[1] + chart.frame[3]) / 2, "0.5 needed")
    assert draw_chart("accuracy", "epoch", [line], 1.5).threshold is None
    assert draw_chart("accuracy", "epoch", [line]).threshold is None


def test_known_final_values_are_marked() -> None:
    lines = [ChartLine("a", [1.0], [0.2], 0.5), ChartLine("b", [1.0], [0.3]), ChartLine("c", [1.0], [0.3], NAN)]
    chart = draw_chart("accuracy", "epoch", lines, top=1.0)
    assert [stroke.end is not None for stroke in chart.strokes] == [True, False, False]
    assert chart.has_ends
    assert not draw_chart("loss", "epoch", lines[1:]).has_ends


def test_lines_have_different_styles_that_repeat() -> None:
    chart = draw_chart("loss", "epoch", [ChartLine(str(number), [1.0], [1.0]) for number in range(DRAWN_WAYS + 1)])
    assert [stroke.way for stroke in chart.strokes] == [*range(DRAWN_WAYS), 0]


def test_the_words_say_what_the_lines_show() -> None:
    chart = draw_chart(
        "accuracy", "epoch", [ChartLine("seed 0", [0.5, 1.0], [0.1, 0.7], 0.731), ChartLine("seed 1", [1.0], [NAN])]
    )
    assert chart.spoken == (
        "accuracy by epoch: seed 0 from 0.1 to 0.7, ended with 0.731; seed 1 1 of 1 points are not numbers"
    )


def test_a_scale_maps_huge_numbers_and_an_empty_range() -> None:
    assert make_scale(0, 10, 100, 200)(5) == 150
    assert make_scale(-1e308, 1e308, 0, 1)(1e308) == 1
    assert make_scale(3, 3, 0, 1)(3) == 0.5


def test_numbers_are_short() -> None:
    assert [format_short(value) for value in (0.73149, 10.0, 1e-9, NAN)] == ["0.731", "10", "1e-09", "–"]  # noqa: RUF001
