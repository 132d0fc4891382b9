"""typer still has the undocumented parts that `grader.cli.typer_internals` uses."""

from __future__ import annotations

from tests.support.library_contracts import Library

TYPER = Library("typer")


def test_typer_has_the_errors_that_are_described_in_our_words() -> None:
    for name in ("UsageError", "NoSuchOption", "MissingParameter", "BadOptionUsage", "NoArgsIsHelpError"):
        TYPER.find(f"typer._click.exceptions:{name}")
    TYPER.check_parameters("typer._click.exceptions:NoSuchOption", "option_name message possibilities ctx")


def test_typer_resolves_the_words_of_an_incomplete_command_line() -> None:
    TYPER.check_parameters("typer._click.shell_completion:_resolve_context", "cli ctx_args prog_name args")
    TYPER.check_parameters("typer._click.shell_completion:_resolve_incomplete", "ctx args incomplete")


def test_typer_runs_a_group_without_ending_the_process() -> None:
    TYPER.check_parameters(
        "typer.core:TyperGroup.main", "self args prog_name complete_var standalone_mode windows_expand_args extra"
    )
    TYPER.check_parameters("typer.core:TyperGroup.resolve_command", "self ctx args")
    TYPER.check_parameters("typer.core:TyperCommand.format_help", "self ctx formatter")


def test_a_parameter_knows_its_choices() -> None:
    descriptor = TYPER.find("typer._coercion:TypeDescriptor")
    TYPER.check(isinstance(descriptor.choices, property), "choices of a parameter are a property of its type")
