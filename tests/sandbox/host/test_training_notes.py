"""The kernel's notes on trainings: a note of the right form is kept within limits, and any other is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from grader.models.recipe import Mode
from grader.sandbox.host.training_notes import read_own_training
from grader.sandbox.protocol.encoding import Array
from tests.support.hostile_cells import TRACKER_CLASS
from tests.support.sandbox_runs import Run

NOTE: dict[str, Any] = {
    "note": "training",
    "cell": 1,
    "part": 1,
    "number": 0,
    "model": "LeNet",
    "parameters": 61_706,
    "size": (1, 28, 28),
    "pixels": (0.0, 1.0),
    "steps": 60,
    "epochs": None,
    "planned_epochs": 10,
    "optimizer": "SGD",
    "lr": 0.1,
    "findings": (("no_step", "call step()"),),
    "ended": "steps",
    "losses": (2.3, 2.2),
}
FORGED: dict[str, tuple[str, Any]] = {
    "a negative count": ("steps", -1),
    "a huge count": ("parameters", 2**2000),
    "a count that is a float": ("steps", 1.0),
    "a count that is a truth value": ("number", True),
    "a size of words": ("size", "abc"),
    "a size that is a number": ("size", 3),
    "pixels of words": ("pixels", ("a", "b")),
    "three pixels": ("pixels", (0.0, 1.0, 2.0)),
    "a model that is an array": ("model", Array("uint8", (1,), b"x")),
    "findings that are text": ("findings", "abc"),
    "a finding that is no text": ("findings", ((1, 2),)),
    "an end of another kind": ("ended", "passed"),
    "losses of words": ("losses", ("a",)),
    "losses that are a dict": ("losses", {"a": 1.0}),
    "a rate of words": ("lr", "fast"),
}


def test_a_note_of_the_right_form_is_kept() -> None:
    kept = read_own_training("homework.ipynb", 1, NOTE)
    assert (kept.model, kept.steps, kept.lr, kept.planned_epochs, kept.epochs) == ("LeNet", 60, 0.1, 10, None)
    assert kept.findings == (("no_step", "call step()"),)
    assert kept.losses == (2.3, 2.2)


@pytest.mark.parametrize(("name", "value"), FORGED.values(), ids=FORGED.keys())
def test_a_note_of_another_form_is_refused(name: str, value: Any) -> None:
    with pytest.raises((ArithmeticError, AttributeError, KeyError, TypeError, ValueError)):
        read_own_training("homework.ipynb", 1, NOTE | {name: value})


@pytest.mark.parametrize("name", sorted(NOTE.keys() - {"note", "cell"}))
def test_a_note_that_lacks_something_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        read_own_training("homework.ipynb", 1, {key: value for key, value in NOTE.items() if key != name})


def test_what_is_too_long_is_cut_and_what_is_no_number_is_left_out() -> None:
    long = {"model": "x" * 1000, "findings": (("y" * 1000, "z" * 1000),) * 100, "losses": (math.nan, 1.0) * 100}
    kept = read_own_training("homework.ipynb", 1, NOTE | long | {"lr": math.nan, "pixels": (0.0, math.inf)})
    assert len(kept.model) == 100
    assert len(kept.findings) == 20
    assert {(len(name), len(text)) for name, text in kept.findings} == {(40, 500)}
    assert kept.losses == (1.0,) * 50
    assert (kept.lr, kept.pixels) == (None, (0.0, 1.0))


def test_a_flood_of_notes_is_bounded(run: Run) -> None:
    line = (
        "line = next(c.__self__ for c in get_ipython().events.callbacks['post_run_cell'] if hasattr(c, '__self__')\n"
        f"            and type(c.__self__).__name__ == '{TRACKER_CLASS}')._packets\n"
    )
    made = run("def f(): return 1", f"{line}for _ in range(500): line.send({NOTE!r})", mode=Mode.QUICK)
    assert made.statuses() == ["ok", "ok"]
    assert made.call("f") == 1
    assert len(made.work.trainings()) == 100
