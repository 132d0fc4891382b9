"""The commands for operators of a server, as real processes with an SQLite file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GRADER = Path(sys.executable).with_name("grader")
SECRET = 43  # characters of 256 bits in URL-safe base 64

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the grader in an empty folder with its own database."""

    def call(*arguments: str, **variables: str) -> Ran:
        return subprocess.run(
            [GRADER, *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200", "GRADER_DATABASE": "sqlite:///own.sqlite", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return call


def refused(ran: Ran) -> str:
    assert (ran.returncode, ran.stdout) == (2, ""), ran
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_upgrading_a_database_again_is_safe(run: Run) -> None:
    for _ in range(2):
        assert run("database", "upgrade").stdout == "the database is up to date\n"


@pytest.mark.slow
def test_a_server_does_not_start_on_a_database_that_is_not_upgraded(run: Run) -> None:
    assert "run `grader database upgrade`" in refused(run("serve", "--port", "0"))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GRADER_DATABASE", "mysql://somewhere", "the URL of the database"),
        ("GRADER_LEASE_SECONDS", "soon", "GRADER_LEASE_SECONDS is 'soon': give a number"),
        ("GRADER_SHARE", "0", "GRADER_SHARE is 0: give a number above 0"),
    ],
)
def test_an_invalid_setting_is_named(run: Run, variable: str, value: str, message: str) -> None:
    assert message in refused(run("database", "upgrade", **{variable: value}))


@pytest.mark.slow
def test_tokens_are_created_listed_and_revoked_and_their_secrets_shown_once(run: Run) -> None:
    run("database", "upgrade")
    secret = run("token", "create", "staff", "--role", "instructor").stdout.strip()
    assert len(secret) >= SECRET
    assert run("token", "create", "kim", "--role", "student", "--person", "kim01").returncode == 0
    listed = run("token", "list").stdout
    assert [line.split() for line in listed.splitlines()] == [
        ["kim", "student", "valid", "kim01"],
        ["staff", "instructor", "valid"],
    ]
    assert run("token", "revoke", "staff").returncode == 0
    after = run("token", "list", "--json", "-")
    assert [bool(each["revoked_at"]) for each in json.loads(after.stdout)] == [False, True]
    assert secret not in listed + after.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("staff", "--role", "dean"), "there is no role 'dean': give one of instructor, student, ci"),
        (("kim", "--role", "student"), "a student's token needs --person"),
        (("staff", "--role", "ci", "--person", "kim01"), "tokens of other roles do not have one"),
    ],
)
def test_an_invalid_token_is_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    run("database", "upgrade")
    assert message in refused(run("token", "create", *arguments))


def test_revoking_a_missing_token_is_refused(run: Run) -> None:
    run("database", "upgrade")
    assert "nobody" in refused(run("token", "revoke", "nobody"))
