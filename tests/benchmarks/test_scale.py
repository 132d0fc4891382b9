"""The simulation keeps the rules of docs/service.md, and docs/scale.md quotes it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale.__main__ import DOCS, figures, told, written
from benchmarks.scale.breaking import copies, needs
from benchmarks.scale.parameters import RESULTS, Parameters
from benchmarks.scale.simulation import Job, arrivals, jobs_after, percentile, simulate
from benchmarks.scale.sizing import SCENARIOS, sized, smallest


@pytest.fixture
def parameters() -> Parameters:
    return Parameters.read()


def test_one_worker_grades_one_after_the_other() -> None:
    outcome = simulate([Job(0, 1, 10), Job(1, 2, 10), Job(2, 3, 10)], workers=1, share=16)
    assert outcome.waits == [0, 9, 18]
    assert outcome.ends == [10, 20, 30]
    assert outcome.longest_queue == 2
    assert outcome.utilisation == 1


def test_two_workers_grade_two_at_once() -> None:
    assert simulate([Job(0, 1, 10)] * 4, workers=2, share=16).ends == [10, 10, 20, 20]


def test_who_hands_in_a_thousand_makes_nobody_wait_beyond_their_share() -> None:
    thousand = [Job(0, 1, 10)] * 1000
    outcome = simulate([*thousand, Job(1, 2, 10)], workers=1, share=2)
    assert outcome.waits[-1] == 19  # after the one that runs and the one that was sent before
    assert outcome.most_published == 2
    assert outcome.longest_queue == 1000


def test_a_share_below_the_number_of_workers_leaves_workers_idle() -> None:
    outcome = simulate([Job(0, 1, 10)] * 8, workers=4, share=2)
    assert outcome.ends[-1] == 40
    assert outcome.utilisation == 0.5


def test_a_second_stage_begins_when_the_first_has_ended() -> None:
    jobs = [Job(0, 1, 30), Job(0, 2, 10)]
    second = jobs_after(jobs, simulate(jobs, workers=2, share=16), [5, 6])
    assert second == [Job(10, 2, 6), Job(30, 1, 5)]


def test_the_last_hour_has_its_share_of_arrivals() -> None:
    times = arrivals(random.Random(1), 10_000, [(168, 0.5), (12, 0.4), (1, 0.1)])
    assert times == sorted(times)
    assert times[0] >= -168 * 3600
    assert times[-1] <= 0
    assert 0.09 < sum(time >= -3600 for time in times) / len(times) < 0.11
    assert 0.48 < sum(time >= -12 * 3600 for time in times) / len(times) < 0.52


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0, 0.5, 0.95, 1)] == [1, 50, 95, 100]


@pytest.mark.parametrize("least", [1, 7])
def test_the_smallest_number_that_is_enough_is_found(least: int) -> None:
    assert smallest(lambda workers: workers >= 37, least) == 37


def test_a_message_that_waits_is_sent_again_ever_more_rarely() -> None:
    # After 120 s, after 240 s more, after 360 s more.
    assert [copies(seconds) for seconds in (0, 119, 120, 359, 360, 719, 720)] == [1, 1, 2, 2, 3, 3, 4]


def test_what_breaks_first_stands_first(parameters: Parameters) -> None:
    quick = sized(SCENARIOS["course"], parameters, seed=1)[1]
    few = replace(parameters, assumed=replace(parameters.assumed, bytes_of_redis=1))
    assert needs(quick, few)[0].part == "Redis"
    shares = [need.share for need in needs(quick, parameters)]
    assert shares == sorted(shares, reverse=True)


def test_a_figure_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = json.loads(RESULTS.read_text("utf-8"))
    del found["measured"]["report_bytes"]
    incomplete = tmp_path / "service_times.json"
    incomplete.write_text(json.dumps(found), "utf-8")
    with pytest.raises(SystemExit, match=r"measured lacks report_bytes; run python -m benchmarks\.service_limits"):
        Parameters.read(incomplete)


@pytest.mark.parametrize(
    "name",
    [
        "course",
        "class",
        pytest.param("university", marks=pytest.mark.slow),
        pytest.param("mooc", marks=pytest.mark.slow),
    ],
)
def test_the_page_quotes_what_the_simulation_prints(name: str, parameters: Parameters) -> None:
    page = DOCS.read_text("utf-8")
    assert f"<!-- {name} -->" in page
    assert written(page, name, told(SCENARIOS[name], parameters)) == page, "run python -m benchmarks.scale --write"


def test_the_page_quotes_what_was_measured(parameters: Parameters) -> None:
    page = DOCS.read_text("utf-8")
    assert "<!-- figures -->" in page
    assert written(page, "figures", figures(parameters)) == page, "run python -m benchmarks.scale --write"
