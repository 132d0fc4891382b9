"""Find the server and the token: in the environment, else in a file that only its owner can read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.cache_folder import write_whole
from grader.client.connection import normalise_address, strip_token
from grader.errors import InputError

__all__ = ["SERVER", "TOKEN", "Credentials", "find_credentials", "save_token", "token_file"]

SERVER, TOKEN = "GRADER_SERVER", "GRADER_TOKEN"


@dataclass(frozen=True, repr=False)  # so that no message ever shows the token
class Credentials:
    """A server, the token for it, and where the token was found."""

    server: str
    token: str
    origin: str


def token_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file with the tokens: $XDG_CONFIG_HOME/grader/token, else ~/.config/grader/token."""
    settings = Path(environment.get("XDG_CONFIG_HOME", ""))  # the specification ignores relative paths
    home = Path(environment.get("HOME") or "~").expanduser()
    return (settings if settings.is_absolute() else home / ".config") / "grader" / "token"


def find_credentials(server: str = "", environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return the server and the token for it.

    The server is `server`, else $GRADER_SERVER, else the only one with a stored token. The token is $GRADER_TOKEN, else
    the one that `grader login` stored for this server. A token is never sent to another server.

    Raises:
        InputError: the server or the token is not known, or others can read the file.
    """
    file = token_file(environment)
    token = environment.get(TOKEN, "").strip()
    stored = {} if token else _read_tokens(file)
    server = server or environment.get(SERVER, "")
    if not server and len(stored) == 1:
        (server,) = stored
    if not server:
        raise InputError(f"which server? Give --server, or set {SERVER}")
    server = normalise_address(server)
    if token:
        return Credentials(server, token, TOKEN)
    if server not in stored:
        raise InputError(f"there is no token for {server}: set {TOKEN}, or run `grader login --server {server}`")
    return Credentials(server, stored[server], str(file))


def save_token(server: str, token: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Store the token for a server in the file, beside those for other servers.

    Raises:
        InputError: it is not a token, or others can read the existing file.
    """
    file = token_file(environment)
    tokens = {**_read_tokens(file), normalise_address(server): strip_token(token, "standard input")}
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, "".join(f"{name} {secret}\n" for name, secret in tokens.items()).encode(), 0o600)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); set {TOKEN} instead") from None
    return file


def _read_tokens(file: Path) -> dict[str, str]:
    """Return the stored tokens by server."""
    try:
        with open(file, encoding="utf-8") as opened:
            about = os.fstat(opened.fileno())
            if about.st_mode & 0o077:
                raise InputError(f"{file}: others can read this token; run `chmod 600 {file}`")
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
