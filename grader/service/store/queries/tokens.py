"""Tokens: who may ask the service for what. A secret is shown once, and only its sha256 is kept."""

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

_PREFIX = "grader_"  # secret scanners can tell what was leaked
_BYTES = 32


@dataclass(frozen=True)
class Token:
    """Who asks. `person` is who a student is, as submissions name them; "" for others."""

    id: str
    name: str
    role: Role
    person: str


@dataclass(frozen=True)
class ListedToken:
    """A token as its administrator sees it."""

    token: Token
    created_at: datetime
    revoked_at: datetime | None


def create_token(store: Store, name: str, role: Role, person: str = "") -> str:
    """Make a token and return its secret, which nobody can ask for again.

    Args:
        store: where tokens are kept.
        name: what it is called in lists; unlike all others, revoked ones too.
        role: what it may do.
        person: for a student, who it is, as submissions name them.

    Raises:
        InputError: the name is taken or empty, or a student is nobody.
    """
    if not name.strip():
        raise InputError("a token needs a name, which is what it is revoked by")
    if (role is Role.STUDENT) != bool(person):
        raise InputError("a student's token names the person whose submissions it may read, and no other token does")
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    try:
        with store.session() as session:
            session.add(TokenRow(name=name, role=role, person=person, sha256=_sha256(secret)))
    except IntegrityError:
        raise InputError(f"there is, or was, a token called {name!r}; give another name") from None
    return secret


def find_token(store: Store, secret: str) -> Token | None:
    """Return the token with this secret, None where there is none or it was revoked."""
    # Looked up by a hash of 256 random bits: how long that takes tells nothing of the secret.
    query = select(TokenRow).where(TokenRow.sha256 == _sha256(secret), TokenRow.revoked_at.is_(None))
    with store.reading() as session:
        row = session.scalar(query)
        return None if row is None else _token(row)


def revoke_token(store: Store, name: str) -> None:
    """Make a token worthless from now on; what it handed in stays.

    Raises:
        InputError: there is no such token.
    """
    named = TokenRow.name == name
    change = update(TokenRow).where(named, TokenRow.revoked_at.is_(None)).values(revoked_at=now())
    with store.session() as session:
        if session.scalar(select(TokenRow.id).where(named)) is None:
            raise InputError(f"there is no token called {name!r}; `grader token list` shows them")
        session.execute(change)


def list_tokens(store: Store) -> list[ListedToken]:
    """Return all tokens by name, revoked ones too."""
    with store.reading() as session:
        rows = session.scalars(select(TokenRow).order_by(TokenRow.name))
        return [ListedToken(_token(row), row.created_at, row.revoked_at) for row in rows]


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(row: TokenRow) -> Token:
    return Token(row.id, row.name, row.role, row.person)
