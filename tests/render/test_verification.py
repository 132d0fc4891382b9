"""A rubric's verification in the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from grader.render.verification import render_verification
from grader.results.verification import Naming, RubricTest, Verification, VerifiedSubmission

VALUES, SHAPE = RubricTest("values", "test_values"), RubricTest("shape", "test_shape")


def printed(*rows: VerifiedSubmission) -> str:
    console = Console(file=io.StringIO(), width=200)
    render_verification(Verification("hw", "0" * 64, 10, rows, (VALUES, SHAPE)), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(
    name: str, must_lose: tuple[str, ...], loses: tuple[str, ...], kind: str = "mutant", why: str = ""
) -> VerifiedSubmission:
    failed = tuple(RubricTest(item, f"test_{item}") for item in loses)
    return VerifiedSubmission(kind, name, ("corr2d",), must_lose, 4, loses, failed, why=why)


def test_a_rubric_that_is_right_shows_its_rows_and_score() -> None:
    text = printed(row("flipped kernel", ("values",), ("values",)), row("too small", ("shape",), ("shape",)))
    assert "✓  mutant: flipped kernel  corr2d    4 / 10  values" in text
    assert "Mutation score: 2 of 2 (100 %)" in text
    assert "Survivors: none" in text
    assert "Tests that no mutant needs: none" in text


def test_a_survivor_is_named_and_what_to_do_about_it() -> None:
    text = printed(row("flipped kernel", ("values",), ()))
    assert "✗ mutant flipped kernel keeps values: no test tells it from the reference; add a case" in text
    assert "Mutation score: 0 of 1 (0 %)" in text
    assert "Survivors: flipped kernel" in text
    assert "Tests that no mutant needs: test_shape (shape), test_values (values)" in text


def test_a_right_solution_that_loses_points_shows_why() -> None:
    text = printed(row("einsum", (), ("values",), "alternative", "values: expected 3, found [bold]4"))
    assert "✗ alternative einsum loses values (values: expected 3, found [bold]4): the test is too strict" in text
    assert "no mutants" in text


def test_the_confusion_table_shows_what_each_mutant_is_called_and_what_to_do_about_it() -> None:
    flipped = row("flipped kernel", ("values",), ("values",))
    names = (Naming("values", ("flipped_kernel",)), Naming("edges", ("flipped_kernel",)), Naming("layer", ()))
    both = (Naming("values", ("flipped_kernel", "tall_kernel")),)
    text = printed(replace(flipped, names=names), replace(flipped, name="tall kernel", names=both))
    assert "✓  flipped_kernel  flipped_kernel (2), no known mistake (1)" in text
    assert "✗  tall_kernel     flipped_kernel or tall_kernel (1)" in text
    assert "✗ mutant tall kernel is named flipped_kernel or tall_kernel in values: add a case that tells them" in text
    assert "✗ mutant flipped kernel" not in text
