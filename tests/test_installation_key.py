"""The key of an installation: made once, readable by its owner only, replaced without losing the earlier ones."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.installation_key import InstallationKey, describe_key_file, load_installation_key, rotate_key_file
from tests.support.keys import KEY, write_key
from tests.support.paths import ROOT

PROCESSES = 8


def environment(folder: Path) -> dict[str, str]:
    return {"GRADER_KEY_FILE": str(folder / "key")}


def test_what_is_derived_depends_on_the_key_and_on_each_part() -> None:
    seeds = [
        KEY.derive(*parts) for parts in (("a", "b"), ("ab",), ("a,b",), ("a", "b", ""), ('a", "b',), ("b", "a"), ())
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(re.fullmatch("[0-9a-f]{64}", seed) for seed in seeds)
    assert KEY.derive("a", "b") == InstallationKey(KEY.secret).derive("a", "b")
    assert KEY.derive("a", "b") != InstallationKey.generate().derive("a", "b")


def test_neither_the_id_nor_the_representation_shows_the_secret() -> None:
    assert re.fullmatch("[0-9a-f]{16}", KEY.id)
    assert KEY.id not in KEY.secret.hex()
    for text in (repr(KEY), str(KEY), f"{KEY}"):
        assert repr(KEY.secret) not in text
        assert KEY.secret.hex() not in text


def test_a_missing_key_is_made_for_its_owner_only(tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": str(tmp_path / "state")}
    made = load_installation_key(variables)
    assert made.file == tmp_path / "state" / "grader" / "installation.key"
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.file.parent.stat().st_mode) == 0o700
    assert load_installation_key(variables) == made
    assert [path.name for path in made.file.parent.iterdir()] == ["installation.key"]


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HOME": "{}"}, ".local/state/grader/installation.key"),
        (
            {"HOME": "{}", "XDG_STATE_HOME": "state"},
            ".local/state/grader/installation.key",
        ),  # relative paths are ignored
        ({"HOME": "{}", "GRADER_KEY_FILE": "{}/own"}, "own"),
    ],
)
def test_where_the_key_lies(variables: dict[str, str], place: str, tmp_path: Path) -> None:
    made = load_installation_key({name: value.format(tmp_path) for name, value in variables.items()})
    assert made.file == tmp_path / place


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = "from grader.installation_key import load_installation_key as load; input(); print(load().id)"
    command = [sys.executable, "-c", code]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "GRADER_KEY_FILE": str(tmp_path / "deep" / "key")}
    started = [
        subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in started}) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["key"]


def allow_others(path: Path) -> None:
    write_key(path).chmod(0o644)


def let_the_group_write(path: Path) -> None:
    write_key(path).chmod(0o660)


def cut(path: Path) -> None:
    write_key(path).write_text("0123", encoding="ascii")


def add_a_line(path: Path) -> None:
    write_key(path).write_text(f"{KEY.secret.hex()}\nmore\n", encoding="ascii")


def make_a_folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def make_a_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("missing")


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (allow_others, "run `chmod 600"),
        (let_the_group_write, "run `chmod 600"),
        (cut, "64 hexadecimal digits"),
        (add_a_line, "64 hexadecimal digits"),
        (make_a_folder, "no regular file"),
        (make_a_pipe, "no regular file"),
        (link_to_nothing, "a link to a missing file"),
        (link_to_a_device, "no regular file"),
    ],
)
def test_what_is_no_safe_key_file_is_refused(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    spoil(tmp_path / "key")
    for use in (load_installation_key, describe_key_file, rotate_key_file):
        with pytest.raises(InputError, match=message) as error:
            use(environment(tmp_path))
        assert KEY.secret.hex() not in str(error.value)


def test_a_link_to_a_key_file_and_one_that_the_group_can_read_are_fine(tmp_path: Path) -> None:
    """Kubernetes links the files of secrets, and systemd lets the group read credentials."""
    write_key(tmp_path / "mounted").chmod(0o440)
    (tmp_path / "key").symlink_to("mounted")
    assert load_installation_key(environment(tmp_path)).secret == KEY.secret


def test_a_file_that_was_asked_for_and_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="set GRADER_KEY_FILE"):
        load_installation_key({"GRADER_KEY_FILE": str(tmp_path / "file" / "key")})


def test_a_home_that_cannot_be_written_gives_one_key_for_this_process_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    variables = {"XDG_STATE_HOME": str(tmp_path / "file")}
    with caplog.at_level(logging.WARNING):
        first, second = load_installation_key(variables), load_installation_key(variables)
    assert first == second
    assert first.file is None
    assert len(caplog.records) == 1
    assert "not kept" in caplog.text
    assert first.secret.hex() not in caplog.text
    assert describe_key_file(variables).place == ""
    with pytest.raises(InputError):
        rotate_key_file(variables)


def test_rotating_makes_another_key_and_keeps_the_earlier_ones(tmp_path: Path) -> None:
    first = load_installation_key(environment(tmp_path))
    second = rotate_key_file(environment(tmp_path))
    third = rotate_key_file(environment(tmp_path))
    assert len({first.id, second.id, third.id}) == 3
    assert load_installation_key(environment(tmp_path)) == third
    status = describe_key_file(environment(tmp_path))
    assert (status.id, status.place) == (third.id, str(tmp_path / "key"))
    assert status.earlier == tuple(sorted([first.id, second.id]))
    for earlier in (first, second):
        kept = load_installation_key({"GRADER_KEY_FILE": str(tmp_path / f"key.{earlier.id}")})
        assert kept.secret == earlier.secret
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_the_first_key_may_be_made_by_rotating(tmp_path: Path) -> None:
    assert rotate_key_file(environment(tmp_path)) == load_installation_key(environment(tmp_path))
