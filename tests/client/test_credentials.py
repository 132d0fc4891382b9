"""Finding the server and the token, and the permissions of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.client.credentials import find_credentials, save_token, token_file
from grader.errors import InputError

HERE, THERE = "https://grader.example.org", "http://127.0.0.1:8000"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without a token."""
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "settings")}


def test_the_file_follows_the_xdg_specification(tmp_path: Path) -> None:
    assert token_file({"HOME": "/home/a", "XDG_CONFIG_HOME": "/settings"}) == Path("/settings/grader/token")
    assert token_file({"HOME": "/home/a", "XDG_CONFIG_HOME": "relative"}) == Path("/home/a/.config/grader/token")
    assert token_file({"HOME": "/home/a"}) == Path("/home/a/.config/grader/token")


def test_a_stored_token_is_found_and_only_its_owner_can_read_it(environment: dict[str, str]) -> None:
    file = save_token(f"{HERE}/", " secret-1\n", environment)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    found = find_credentials(HERE, environment)
    assert (found.server, found.token, found.origin) == (HERE, "secret-1", str(file))


def test_a_token_is_not_sent_to_another_server(environment: dict[str, str]) -> None:
    save_token(HERE, "secret-1", environment)
    with pytest.raises(InputError, match=r"no token for http://127.0.0.1:8000.*grader login --server"):
        find_credentials(THERE, environment)
    save_token(THERE, "secret-2", environment)
    assert find_credentials(THERE, environment).token == "secret-2"
    assert find_credentials(HERE, environment).token == "secret-1"


def test_the_environment_comes_before_the_file_and_the_option_before_the_environment(
    environment: dict[str, str],
) -> None:
    save_token(HERE, "kept", environment)
    environment |= {"GRADER_TOKEN": "told", "GRADER_SERVER": THERE}
    assert find_credentials("", environment).server == THERE
    found = find_credentials(HERE, environment)
    assert (found.server, found.token, found.origin) == (HERE, "told", "GRADER_TOKEN")


def test_the_only_server_with_a_token_need_not_be_named(environment: dict[str, str]) -> None:
    save_token(HERE, "kept", environment)
    assert find_credentials("", environment).server == HERE
    save_token(THERE, "kept", environment)
    with pytest.raises(InputError, match="which server"):
        find_credentials("", environment)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(environment: dict[str, str], mode: int) -> None:
    file = save_token(HERE, "kept", environment)
    file.chmod(mode)
    with pytest.raises(InputError, match=r"others can read this token; run `chmod 600"):
        find_credentials(HERE, environment)
    with pytest.raises(InputError, match="others can read"):
        save_token(HERE, "new", environment)


@pytest.mark.parametrize("content", [b"secret\n", b"a b c\n", b"\xff\xfe\n"], ids=["one", "three", "binary"])
def test_a_file_that_holds_something_else_is_refused_without_showing_it(
    environment: dict[str, str], content: bytes
) -> None:
    file = save_token(HERE, "kept", environment)
    file.write_bytes(content)
    with pytest.raises(InputError, match="no file of tokens") as caught:
        find_credentials(HERE, environment)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two words", "비밀", "a\x1bb"], ids=["none", "words", "korean", "control"])
def test_an_invalid_token_is_not_stored(environment: dict[str, str], token: str) -> None:
    with pytest.raises(InputError, match="not a token"):
        save_token(HERE, token, environment)
    assert not token_file(environment).exists()


@pytest.mark.parametrize(
    "server",
    ["grader.example.org", "ftp://a", "https://", "https://me:word@a", "http://[", "https://a b", "https://a?b"],
)
def test_an_invalid_address_is_refused(environment: dict[str, str], server: str) -> None:
    with pytest.raises(InputError, match="not the address of a server") as caught:
        find_credentials(server, {**environment, "GRADER_TOKEN": "t"})
    assert "word" not in str(caught.value)


def test_credentials_do_not_show_their_token(environment: dict[str, str]) -> None:
    assert "told" not in repr(find_credentials(HERE, {"GRADER_TOKEN": "told"}))
