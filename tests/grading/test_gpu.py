"""A notebook has the worker's GPU if its assignment, the mode and the session say so, and is judged all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from grader.assignment import Assignment, GPURules, load_assignment
from grader.errors import DeviceFault
from grader.gpu.memory import require_memory_back
from grader.grading import grade as grading
from grader.grading import guarded_gpu
from grader.grading import session as session_module
from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.sandbox.host.sandbox import Zygote
from tests.support.device_files import find_devices, grant, make_nodes
from tests.support.gpus import GIB, StandInDriver, make_gpu
from tests.support.notebooks import submission
from tests.support.paths import ASSIGNMENTS

ITS = make_gpu()
# `double` computes where the notebook does: on the device, or on the CPU if there is none.
CELLS = (
    "import os, torch",
    "there = os.environ['CUDA_VISIBLE_DEVICES'] == {uuid!r}\nplace = torch.device('standin' if there else 'cpu')",
    "factor = torch.tensor(2.0, device=place)\ndef double(X): return (X.to(place) * factor).cpu()",
    "def halve(X): return X / 2 if there else X",
)
NOTEBOOK = submission(*(cell.format(uuid=ITS.uuid) if "{uuid" in cell else cell for cell in CELLS))


@pytest.fixture(scope="module")
def warm() -> Iterator[Zygote]:
    with Zygote(("torch", "tests.support.stand_in_device")) as zygote:
        yield zygote


@pytest.fixture(scope="module")
def node() -> Iterator[Path]:
    with make_nodes(*find_devices(1)) as (made,):
        yield made


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch, node: Path) -> StandInDriver:
    made = StandInDriver(gpus=(ITS,))
    monkeypatch.setattr(grading, "find_access", lambda gpu: replace(grant(node), uuid=gpu.uuid))
    monkeypatch.setattr(guarded_gpu, "open_driver", lambda: made)
    return made


def doubled(*, notebooks: bool) -> Assignment:
    return replace(load_assignment(ASSIGNMENTS / "doubled"), gpu=GPURules(notebooks=notebooks))


def graded(warm: Zygote, mode: Mode, *, notebooks: bool = True) -> Report:
    return grading.grade(NOTEBOOK, doubled(notebooks=notebooks), warm, mode=mode, gpu=ITS)


def test_cells_compute_on_the_gpu_and_tests_on_copies(warm: Zygote) -> None:
    report = graded(warm, Mode.FULL)
    assert (report.score, report.device) == (3, ITS.name), report.to_json()
    assert not report.failed_cells


@pytest.mark.parametrize(("mode", "notebooks"), [(Mode.FULL, False), (Mode.NONE, True)])
def test_there_is_no_gpu_in_another_mode_or_without_the_assignments_word(
    warm: Zygote, mode: Mode, notebooks: bool
) -> None:
    report = graded(warm, mode, notebooks=notebooks)
    assert [item.id for item in report.items if item.points] == ["double"]
    assert report.device == ""
    assert not report.failed_cells


def test_a_session_believes_nothing_that_ran_on_a_gpu_that_failed_and_learns_what_stays_on_it(
    driver: StandInDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "find_library_folders", lambda _: ())
    monkeypatch.setattr(guarded_gpu, "require_memory_back", partial(require_memory_back, seconds=0.05))
    name = str(ASSIGNMENTS / "doubled")

    def fail(what: str) -> None:
        if what == "judging":
            driver.faults[ITS.uuid] = ["Xid 79: it has fallen off the bus"]

    with GradingSession(gpu=ITS) as session:
        with pytest.raises(DeviceFault, match="Xid 79"):
            session.grade(NOTEBOOK, name, progress=fail)
        assert session.grade(NOTEBOOK, name).score == 2
        session.require_gpu_back()
        session.grade(NOTEBOOK, name)
        driver.used[ITS.uuid] = GIB
        with pytest.raises(DeviceFault, match="1,024 MiB of its memory are in use"):
            session.require_gpu_back()
