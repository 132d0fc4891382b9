"""Access tokens. A secret is shown once; only its sha256 is stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from grader.errors import InputError
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.schema import Role, TokenRow

__all__ = ["ListedToken", "Role", "Token", "create_token", "find_token", "list_tokens", "revoke_token"]

_PREFIX = "grader_"  # lets secret scanners recognise a leaked token
_BYTES = 32


@dataclass(frozen=True)
class Token:
    """The caller of a request. `person` names the student, as in submissions; "" for other roles."""

    id: str
    name: str
    role: Role
    person: str


@dataclass(frozen=True)
class ListedToken:
    """A token as administrators see it."""

    token: Token
    created_at: datetime
    revoked_at: datetime | None


def create_token(store: Store, name: str, role: Role, person: str = "") -> str:
    """Create a token and return its secret, which cannot be shown again.

    Args:
        store: the store.
        name: name of the token, unique among all tokens, including revoked ones.
        role: what the token may do.
        person: for a student's token, the student as submissions name them.

    Raises:
        InputError: the name is empty or taken, or `person` does not fit the role.
    """
    if not name.strip():
        raise InputError("a token needs a name, by which it can be revoked")
    if (role is Role.STUDENT) != bool(person):
        raise InputError("a token names a person if and only if its role is student")
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    try:
        with store.session() as session:
            session.add(TokenRow(name=name, role=role, person=person, sha256=_hash(secret)))
    except IntegrityError:
        raise InputError(f"there is, or was, a token called {name!r}; give another name") from None
    return secret


def find_token(store: Store, secret: str) -> Token | None:
    """Return the token with this secret. Return None if there is none or it was revoked."""
    # The lookup is by a hash of 256 random bits, so its duration reveals nothing about the secret.
    query = select(TokenRow).where(TokenRow.sha256 == _hash(secret), TokenRow.revoked_at.is_(None))
    with store.read_session() as session:
        row = session.scalar(query)
        return None if row is None else _make_token(row)


def revoke_token(store: Store, name: str) -> None:
    """Revoke a token. The batches that it submitted stay.

    Raises:
        InputError: there is no token of this name.
    """
    by_name = TokenRow.name == name
    change = update(TokenRow).where(by_name, TokenRow.revoked_at.is_(None)).values(revoked_at=now())
    with store.session() as session:
        if session.scalar(select(TokenRow.id).where(by_name)) is None:
            raise InputError(f"there is no token called {name!r}; `grader token list` shows them")
        session.execute(change)


def list_tokens(store: Store) -> list[ListedToken]:
    """Return all tokens by name, including revoked ones."""
    with store.read_session() as session:
        rows = session.scalars(select(TokenRow).order_by(TokenRow.name))
        return [ListedToken(_make_token(row), row.created_at, row.revoked_at) for row in rows]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _make_token(row: TokenRow) -> Token:
    return Token(row.id, row.name, row.role, row.person)
