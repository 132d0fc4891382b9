"""grader.testing exports what rubric authors import, and its modules hold little else."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import grader.testing
import reference

# Public names of the folder's modules that authors do not import, and the reason for which they are public.
READ_BY_THE_ENGINE = {
    "grader.testing.cases": {"WrongCases"},  # raised by `given`
    # Raised by `assert_module`, `learn` and `run`, and what a student can do about the last two. The engine raises
    # `Overtime` in a test that computes for too long. `Pending` is what waits for a training.
    "grader.testing.failures": {"NoModel", "Overtime", "Pending", "REMEDY", "ToTrain", "TrainedInPlace", "Unmeasured"},
    "grader.testing.misconceptions": {"MARK", "Misconception", "read_source"},  # left on a mutant
    "grader.testing.models": {"find_layers"},  # compares a student's forward pass with a mutant's
}
SHARED_BY_THE_MODULES = {
    "grader.testing.arguments": {"fit_arguments"},
    "grader.testing.book": {"explain", "find_model_differences", "note_fault", "require_result"},
    "grader.testing.quoting": {"QUOTED", "find_statement", "quote_failure"},
}


@pytest.mark.parametrize("module", [grader.testing, reference])
def test_exported_names_exist(module: object) -> None:
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    assert all(hasattr(module, name) for name in names)


def test_every_public_name_is_exported_or_has_a_reason() -> None:
    exported = set(grader.testing.__all__)
    unexported = {}
    for module in pkgutil.iter_modules(grader.testing.__path__, "grader.testing."):
        names = set(importlib.import_module(module.name).__all__) - exported
        if names:
            unexported[module.name] = names
    assert unexported == READ_BY_THE_ENGINE | SHARED_BY_THE_MODULES
