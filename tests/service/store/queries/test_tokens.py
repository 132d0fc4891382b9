"""Tokens: a secret is shown once, and found by its hash."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from grader.errors import InputError
from grader.service.store.database import Store
from grader.service.store.queries.tokens import Role, create_token, find_token, list_tokens, revoke_token
from grader.service.store.schema import TokenRow
from tests.support.store_content import token


def test_a_token_is_found_by_its_secret_and_by_nothing_else(store: Store) -> None:
    secret = create_token(store, "Kim", Role.STUDENT, "kim")
    found = find_token(store, secret)
    assert found
    assert (found.name, found.role, found.person) == ("Kim", Role.STUDENT, "kim")
    for wrong in ("", secret[:-1], secret.upper(), found.id, found.name, "\ud800\0"):
        assert find_token(store, wrong) is None


def test_no_column_holds_the_secret(store: Store) -> None:
    secret = create_token(store, "CI", Role.CI)
    with store.read_session() as session:
        row = session.execute(select(TokenRow.__table__)).one()
    assert all(secret not in str(value) and secret.removeprefix("grader_") not in str(value) for value in row)


def test_no_two_secrets_are_the_same(store: Store) -> None:
    secrets = {create_token(store, f"CI {number}", Role.CI) for number in range(5)}
    assert len(secrets) == 5
    assert all(len(secret) >= 43 for secret in secrets)  # 256 bits in base64


def test_a_revoked_token_opens_nothing_and_stays_in_the_list(store: Store) -> None:
    secret = create_token(store, "CI", Role.CI)
    revoke_token(store, "CI")
    revoke_token(store, "CI")
    assert find_token(store, secret) is None
    (listed,) = list_tokens(store)
    assert listed.token.name == "CI"
    assert listed.revoked_at is not None
    assert listed.revoked_at >= listed.created_at


def test_a_name_is_taken_for_good(store: Store) -> None:
    token(store, "CI", Role.CI)
    revoke_token(store, "CI")
    with pytest.raises(InputError, match="'CI'; give another name"):
        create_token(store, "CI", Role.CI)


@pytest.mark.parametrize(
    ("name", "role", "person"), [(" ", Role.CI, ""), ("a", Role.STUDENT, ""), ("a", Role.INSTRUCTOR, "kim")]
)
def test_a_token_that_makes_no_sense_is_not_made(store: Store, name: str, role: Role, person: str) -> None:
    with pytest.raises(InputError):
        create_token(store, name, role, person)
    assert list_tokens(store) == []


def test_a_token_that_is_not_there_cannot_be_revoked(store: Store) -> None:
    with pytest.raises(InputError, match="no token called 'CI'"):
        revoke_token(store, "CI")
