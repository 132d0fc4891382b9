"""Which server is asked, and with which token: from the environment, else from a file that only its owner may read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.cache_folder import write_whole
from grader.client.connection import server_address, strip_token
from grader.errors import InputError

__all__ = ["SERVER", "TOKEN", "Credentials", "find_credentials", "save_token", "token_file"]

SERVER, TOKEN = "GRADER_SERVER", "GRADER_TOKEN"


@dataclass(frozen=True, repr=False)  # so that no message ever shows the token
class Credentials:
    """A server, the token for it, and where the token is from."""

    server: str
    token: str
    origin: str


def token_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where tokens are kept: $XDG_CONFIG_HOME/grader/token, else ~/.config/grader/token."""
    settings = Path(environment.get("XDG_CONFIG_HOME", ""))  # the specification says that relative paths do not count
    home = Path(environment.get("HOME") or "~").expanduser()
    return (settings if settings.is_absolute() else home / ".config") / "grader" / "token"


def find_credentials(server: str = "", environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return the server and the token for it.

    The server is the one given, else $GRADER_SERVER, else the only one that there is a token for. The token is
    $GRADER_TOKEN, else what `grader login` kept for this server: no server is shown another's token.

    Raises:
        InputError: one of them is not known, or others may read the file.
    """
    file = token_file(environment)
    token = environment.get(TOKEN, "").strip()
    kept = {} if token else _kept(file)
    server = server or environment.get(SERVER, "")
    if not server and len(kept) == 1:
        (server,) = kept
    if not server:
        raise InputError(f"which server? Give --server, or set {SERVER}")
    server = server_address(server)
    if token:
        return Credentials(server, token, TOKEN)
    if server not in kept:
        raise InputError(f"there is no token for {server}: set {TOKEN}, or run `grader login --server {server}`")
    return Credentials(server, kept[server], str(file))


def save_token(server: str, token: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Keep the token for a server in the file, beside those for other servers.

    Raises:
        InputError: this is no token, or others may read the file that is there.
    """
    file = token_file(environment)
    kept = {**_kept(file), server_address(server): strip_token(token, "standard input")}
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, "".join(f"{name} {secret}\n" for name, secret in kept.items()).encode(), 0o600)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); set {TOKEN} instead") from None
    return file


def _kept(file: Path) -> dict[str, str]:
    """Return the token for each server."""
    try:
        with open(file, encoding="utf-8") as opened:
            about = os.fstat(opened.fileno())
            if about.st_mode & 0o077:
                raise InputError(f"{file}: others may read this token; run `chmod 600 {file}`")
            lines = [line.split() for line in opened if line.strip()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check who owns it") from None
    except UnicodeDecodeError:
        lines = [[]]
    if any(len(words) != 2 for words in lines):
        raise InputError(f"{file}: this is no file of tokens; remove it and run `grader login`")
    return dict(lines)
