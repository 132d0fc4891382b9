"""Completion: the words that may follow, and the scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grader.cli import app
from tests.support.command_line import GRADER, Run, refused
from tests.support.pseudo_terminal import show_on_terminal


def complete(shell: str, *words: str) -> list[str]:
    result = CliRunner().invoke(app, ["completion-words", shell, "--", *words])
    assert result.exit_code == 0, result.output
    return [line.partition("\t")[0] for line in result.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_options_values_assignments_and_items_are_completed(shell: str) -> None:
    assert complete(shell, "ch") == ["check"]
    assert complete(shell, "assignment", "b") == ["bundle"]
    assert complete(shell, "check", "--tr") == ["--training"]
    assert complete(shell, "check", "--training", "") == ["none", "quick", "full"]
    assert complete(shell, "check", "hw2.ipynb", "--assignment", "hw") == ["hw2"]
    assert complete(shell, "check", "--item", "corr2d.") == ["corr2d.values", "corr2d.shape"]
    assert complete(shell, "check", "--format", "g") == ["github", "gradescope"]
    assert complete(shell, "check", "--format", "junit", "--format", "h") == ["html"]


def test_a_file_in_place_of_a_command_has_the_options_of_check() -> None:
    assert complete("bash", "hw2.ipynb", "--wat") == ["--watch"]


def test_files_and_hidden_commands_are_left_to_the_shell() -> None:
    assert complete("bash", "check", "") == []
    assert complete("bash", "check", "--json", "") == []
    assert complete("bash", "completion-") == []


def test_a_value_after_an_equals_sign_is_completed_as_each_shell_takes_it() -> None:
    assert complete("bash", "check", "--training", "=", "qu") == ["quick"]
    assert complete("bash", "check", "--training", "=") == ["none", "quick", "full"]
    assert complete("zsh", "check", "--training=qu") == ["--training=quick"]
    assert complete("fish", "check", "--training=qu") == ["--training=quick"]


def test_an_assignment_that_does_not_exist_has_no_items() -> None:
    assert complete("bash", "check", "--assignment", "hw9", "--item", "") == []


def test_a_shell_is_needed_and_is_the_users_own_by_default(run: Run) -> None:
    assert run("completion", SHELL="/usr/bin/fish").stdout == run("completion", "fish").stdout
    refused(run("completion", SHELL="/bin/tcsh"), "bash, zsh, fish", "/bin/tcsh")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "load"),
    [
        ("bash --norc --noprofile -i", 'eval "$(grader completion bash)"'),
        ("zsh -f -i", 'autoload -U compinit; compinit -D -u; eval "$(grader completion zsh)"'),
        ("fish --no-config --private --interactive", "grader completion fish | source"),
    ],
)
def test_a_real_shell_completes_what_is_typed(tmp_path: Path, start: str, load: str) -> None:
    if not shutil.which(start.split()[0]):
        pytest.skip(f"{start.split()[0]} is not installed")
    (tmp_path / "homework.ipynb").write_text("{}")
    shown = show_on_terminal(
        start.split(),
        tmp_path,
        120,
        press=[
            (f"{load}; echo loa''ded\r".encode(), lambda text, seconds: seconds > 1),
            (b"grader doct\t", lambda text, _: "loaded" in text),
            (b"\x15grader check hom\t", lambda text, _: "doctor" in text),
            (b"\x15grader check --item pool2d.m\t", lambda text, _: "homework.ipynb" in text),
            (b"\x15exit\r", lambda text, _: "pool2d.max" in text),
        ],
        variables={"PATH": f"{GRADER.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PS1": "$ "},
        seconds=60,
    )
    assert "pool2d.max" in shown.raw, shown.raw


def test_versions_help_and_completion_are_quick_because_torch_is_not_imported(tmp_path: Path) -> None:
    lines = (
        ["--version"],
        ["check", "-h"],
        ["completion-words", "bash", "--", "check", "--item", "c"],
    )
    for words in lines:
        before = os.times()
        done = subprocess.run([GRADER, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        after = os.times()
        assert done.stdout
        used = after.children_user + after.children_system - before.children_user - before.children_system
        assert used < 0.6, words  # 0.2 s on a machine that does nothing else
    modules = "import sys; from grader.cli import app; assert not {'torch', 'numpy', 'IPython'} & sys.modules.keys()"
    subprocess.run([GRADER.with_name("python"), "-c", modules], check=True)
