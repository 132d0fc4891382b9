"""`grader key`: where the key is and since when, never what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Run, refused
from tests.support.keys import KEY, write_key
from tests.support.notebooks import notebook_bytes


def test_the_key_is_made_shown_and_rotated_without_its_secret(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "state" / "grader" / "installation.key"
    variables = {"GRADER_KEY_FILE": "", "XDG_STATE_HOME": str(tmp_path / "state")}
    first = json.loads(run("key", "show", "--json", "-", **variables).stdout)
    assert (first["place"], first["earlier"]) == (str(place), [])
    secret = place.read_text("ascii").strip()
    rotated = run("key", "rotate", **variables)
    assert f"earlier  {first['id']}" in rotated.stdout
    shown = run("key", "show", **variables)
    assert shown.stdout == rotated.stdout
    for text in (rotated.stdout, shown.stdout, json.dumps(first)):
        assert secret not in text
        assert place.read_text("ascii").strip() not in text


def test_the_key_of_the_service_is_in_its_database(run: Run, tmp_path: Path) -> None:
    variables = {"GRADER_KEY_FILE": "", "GRADER_DATABASE": "sqlite:///own.sqlite"}
    refused(run("key", "show", "--service", **variables), "run `grader database upgrade`")
    run("database", "upgrade", **variables)
    first = json.loads(run("key", "show", "--service", "--json", "-", **variables).stdout)
    assert first["place"] == "sqlite:///own.sqlite"
    second = json.loads(run("key", "rotate", "--service", "--json", "-", **variables).stdout)
    assert second["earlier"] == [first["id"]]
    assert json.loads(run("key", "show", "--service", "--json", "-", **variables).stdout) == second
    assert not (tmp_path / "state").exists()


def test_a_key_file_takes_the_place_of_the_database(run: Run, key_file: Path) -> None:
    shown = json.loads(run("key", "show", "--service", "--json", "-").stdout)
    assert (shown["id"], shown["place"]) == (KEY.id, str(key_file))


@pytest.mark.parametrize("command", [("key", "show"), ("check", "homework.ipynb", "--training", "none")])
def test_a_key_that_others_can_read_is_refused_with_what_to_do(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "homework.ipynb").write_bytes(notebook_bytes("x = 1"))
    file = write_key(tmp_path / "key")
    file.chmod(0o644)
    refused(run(*command, GRADER_KEY_FILE=str(file)), f"run `chmod 600 {file}`")
