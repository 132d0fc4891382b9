"""A wrong command line is explained in our words, with what was probably meant."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from grader.cli import app


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chek", "No such command 'chek'. Did you mean check?\nSee 'grader --help'."),
        ("bundle hw2", "No such command 'bundle'. Did you mean assignment bundle?\nSee 'grader --help'."),
        ("frobnicate", "No such command 'frobnicate'.\nSee 'grader --help'."),
        ("rubric verfy", "No such command 'verfy'. Did you mean verify?\nSee 'grader rubric --help'."),
        ("--item corr2d", "No such option '--item'. Did you mean grader check --item?\nSee 'grader --help'."),
        ("check a --trainng none", "No such option '--trainng'. Did you mean --training?\nSee 'grader check --help'."),
        (
            "check a --min_score 5",
            "No such option '--min_score'. Did you mean --min-score?\nSee 'grader check --help'.",
        ),
        (
            "check a --training quik",
            "--training: 'quik' is not one of none, quick, full. Did you mean quick?\nSee 'grader check --help'.",
        ),
        ("check a --hint x", "--hint: 'x' is not a whole number of at least 1.\nSee 'grader check --help'."),
        ("serve --port 99999", "--port: '99999' is not a whole number from 0 to 65535.\nSee 'grader serve --help'."),
        ("check a --json", "Option --json needs a value: --json FILE.\nSee 'grader check --help'."),
        ("batch a", "Missing option --out FOLDER: Write reports, gradebook and summary here.\n"),
        ("check", "Missing argument FILE...: The files of one submission: notebooks and what they use"),
        ("worker --queue gpus", "there is no queue 'gpus': give cpu, gpu, or gpu- and a word such as gpu-small\n"),
        ("completion bsh", "SHELL: 'bsh' is not one of bash, zsh, fish. Did you mean bash?\n"),
    ],
)
def test_a_wrong_command_line_is_explained(line: str, message: str) -> None:
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"grader: {message}")
    assert not any(word in result.stderr for word in ("Input should", "Value error", "pydantic", "╭", "<"))
