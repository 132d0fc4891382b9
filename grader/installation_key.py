"""The key of an installation. What a student must not be able to foretell is derived from it.

The inputs of tests, the weights of probes and the images of trainings are drawn from seeds. A notebook can compute its
own bytes, so a seed made from them alone could be computed by the notebook as well, and with it every input. Seeds are
therefore made with HMAC-SHA256 (RFC 2104) and a key that lies where no sandbox can read it.

The key is in the file $GRADER_KEY_FILE, else in $XDG_STATE_HOME/grader/installation.key (XDG Base Directory
Specification). Its value never stands in an environment variable, and the warm process that sandboxes are forked from
never has it. Workers of a service keep it in their database (`grader/service/store/queries/keys.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from grader.errors import InputError

__all__ = ["InstallationKey", "KeyStatus", "describe_key_file", "load_installation_key", "rotate_key_file"]

_BYTES = 32
_HEXADECIMAL = re.compile(rb"([0-9a-f]{%d})\n?" % (2 * _BYTES))
_ID_LENGTH = 16  # characters
_ID = re.compile(f"[0-9a-f]{{{_ID_LENGTH}}}")

_log = logging.getLogger("grader")


@dataclass(frozen=True)
class InstallationKey:
    """A secret from which seeds are derived.

    Attributes:
        secret: 32 random bytes. They are in no representation, log or report.
        file: the file that the key was read from; None if it is in no file.
    """

    secret: bytes = field(repr=False)
    file: Path | None = None

    @classmethod
    def generate(cls) -> InstallationKey:
        """Return a new random key, which is stored nowhere."""
        return cls(secrets.token_bytes(_BYTES))

    @property
    def id(self) -> str:
        """The key's name in reports: 16 hexadecimal digits, from which the secret cannot be computed."""
        return self.derive("id")[:_ID_LENGTH]

    def derive(self, *parts: str) -> str:
        """Return 64 hexadecimal digits that can only be computed with the key.

        Args:
            parts: what the digits are for. Other parts, or the same text divided in another way, give other digits.
        """
        return hmac.new(self.secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class KeyStatus:
    """What operators may see of a key.

    Attributes:
        id: the current key's id.
        place: the file or the database that it is in; "" if it is not kept.
        created_at: when it was made.
        earlier: the ids of the earlier keys that are kept there, sorted.
    """

    id: str
    place: str
    created_at: datetime
    earlier: tuple[str, ...] = ()


def load_installation_key(environment: Mapping[str, str] = os.environ) -> InstallationKey:
    """Return the key of this installation. If its file is missing, make one that only its owner can read.

    If there is no key in the default folder and none can be made, return one that lasts as long as this process, and
    log a warning.

    Raises:
        InputError: others can read or change the file, it is not the file of a key, or $GRADER_KEY_FILE cannot be
            read or made.
    """
    path = _find_key_file(environment)
    if os.path.lexists(path):
        return _read(path)
    try:
        _make(path)
    except OSError as error:
        if environment.get("GRADER_KEY_FILE"):
            raise InputError(f"cannot make the key file {path}: {error.strerror}; set GRADER_KEY_FILE") from None
        return _make_temporary_key(f"cannot make the key file {path}: {error.strerror}")
    return _read(path)


def describe_key_file(environment: Mapping[str, str] = os.environ) -> KeyStatus:
    """Describe the key of this installation. If its file is missing, make one.

    Raises:
        InputError: as `load_installation_key`.
    """
    key = load_installation_key(environment)
    if key.file is None:
        return KeyStatus(key.id, "", datetime.now(UTC))
    beside = (path.name.removeprefix(f"{key.file.name}.") for path in key.file.parent.iterdir())
    earlier = sorted(name for name in beside if _ID.fullmatch(name) and name != key.id)
    created_at = datetime.fromtimestamp(key.file.stat().st_mtime, UTC)
    return KeyStatus(key.id, str(key.file), created_at, tuple(earlier))


def rotate_key_file(environment: Mapping[str, str] = os.environ) -> InstallationKey:
    """Make a new key the current one, and return it. Earlier keys stay beside it, as `<name>.<id>`.

    If two processes rotate at once, one of the new keys is current and both are kept.

    Raises:
        InputError: the file is there and not the file of a key, or the folder cannot be written.
    """
    path = _find_key_file(environment)
    key = InstallationKey.generate()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(path):
            _keep(path, _read(path))
        with _write_unnamed(path, key) as unnamed:
            os.link(unnamed, _name_kept(path, key))
            os.replace(unnamed, path)  # noqa: PTH105 - mkstemp returns a str
    except OSError as error:
        raise InputError(f"cannot make a new key file {path}: {error.strerror}; set GRADER_KEY_FILE") from None
    return _read(path)


def _find_key_file(environment: Mapping[str, str]) -> Path:
    """Return the file that the key of this installation is or will be in."""
    if configured := environment.get("GRADER_KEY_FILE"):
        return Path(configured).absolute()
    states = Path(environment.get("XDG_STATE_HOME", ""))  # the specification says to ignore relative paths
    home = Path(environment.get("HOME") or "~").expanduser()
    return (states if states.is_absolute() else home / ".local" / "state") / "grader" / "installation.key"


def _read(path: Path) -> InstallationKey:
    """Read a key file.

    Raises:
        InputError: it cannot be read, others can read or change it, or it is not the file of a key.
    """
    try:
        # A pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"the key file {path} is a link to a missing file: remove it, or restore the file") from None
    except OSError as error:
        raise InputError(f"cannot read the key file {path}: {error.strerror}; set GRADER_KEY_FILE") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"the key file {path} is no regular file: set GRADER_KEY_FILE to another path")
        if mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise InputError(f"others can read or change the key file {path}: run `chmod 600 {path}`")
        content = os.read(descriptor, 2 * _BYTES + 2)
    finally:
        os.close(descriptor)
    match = _HEXADECIMAL.fullmatch(content)
    if match is None:
        raise InputError(f"{path} does not hold a key ({2 * _BYTES} hexadecimal digits): restore it, or remove it")
    return InstallationKey(bytes.fromhex(match[1].decode()), path)


def _make(path: Path) -> None:
    """Make a key file. If another process was faster, its key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _write_unnamed(path, InstallationKey.generate()) as unnamed, suppress(FileExistsError):
        os.link(unnamed, path)  # unlike a rename, it replaces nothing


@contextmanager
def _write_unnamed(path: Path, key: InstallationKey) -> Iterator[str]:
    """Write a key to a file beside `path` that only its owner can read, and remove it at the end."""
    descriptor, unnamed = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with open(descriptor, "wb") as file:
            file.write(f"{key.secret.hex()}\n".encode())
            file.flush()
            os.fsync(descriptor)
        yield unnamed
    finally:
        Path(unnamed).unlink(missing_ok=True)


def _keep(path: Path, key: InstallationKey) -> None:
    with suppress(FileExistsError):
        os.link(path.resolve(), _name_kept(path, key))


def _name_kept(path: Path, key: InstallationKey) -> Path:
    return path.with_name(f"{path.name}.{key.id}")


@cache
def _make_temporary_key(reason: str) -> InstallationKey:
    _log.warning("%s; reports of this process are made with a key that is not kept (see GRADER_KEY_FILE)", reason)
    return InstallationKey.generate()
