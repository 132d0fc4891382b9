"""What grader/sandbox/guest/internals/d2l.py relies on in d2l."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator

import pytest

from tests.support.library_contracts import Library

D2L = Library("d2l")


@pytest.fixture(autouse=True)
def _imported() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        D2L.find("d2l.torch")
        yield


def test_a_board_draws_its_points() -> None:
    D2L.check_parameters("d2l.torch:ProgressBoard.draw", "self x y label every_n")
    source = inspect.getsource(D2L.find("d2l.torch:ProgressBoard"))
    for use in ("self.raw_points[label]", "self.data[label]", "if not self.display:", "self.fig", "p.x", "p.y"):
        D2L.check(use in source, f"ProgressBoard uses {use}")


def test_a_trainer_counts_its_epochs() -> None:
    D2L.check_parameters("d2l.torch:Trainer.__init__", "self max_epochs num_gpus gradient_clip_val")
    source = inspect.getsource(D2L.find("d2l.torch:Trainer"))
    for use in ("model.trainer = self", "self.epoch = 0", "range(self.max_epochs)"):
        D2L.check(use in source, f"Trainer uses {use}")
