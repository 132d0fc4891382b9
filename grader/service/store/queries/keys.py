"""The installation keys that the workers of a service share. No route of the API reads them."""

from __future__ import annotations

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grader.errors import SystemFault
from grader.installation_key import InstallationKey, KeyStatus
from grader.service.store.database import Store
from grader.service.store.schema import InstallationKeyRow

__all__ = ["describe_keys", "find_current_key", "rotate_key"]


def find_current_key(store: Store) -> InstallationKey:
    """Return the key with which jobs are graded now. Make the first one if there is none.

    Raises:
        SystemFault: the database cannot be reached.
    """
    if (found := _read_current_key(store)) is not None:
        return found
    try:
        with store.session() as session:
            if session.scalar(_current()) is None:
                _add_key(session)
    except IntegrityError:
        pass  # another worker has just made it
    if (found := _read_current_key(store)) is None:
        raise SystemFault(f"the database {store.url} does not keep an installation key")
    return found


def rotate_key(store: Store) -> InstallationKey:
    """Make a new key the current one, for every job that starts from now on. Earlier keys are kept.

    Raises:
        SystemFault: the database cannot be reached, or another command rotates the key at the same time.
    """
    try:
        with store.session() as session:
            session.execute(update(InstallationKeyRow).where(InstallationKeyRow.current).values(current=False))
            return _add_key(session)
    except IntegrityError:
        raise SystemFault("another command has just rotated the key: look at `grader key show`") from None


def describe_keys(store: Store) -> KeyStatus:
    """Describe the current key, and make the first one if there is none.

    Raises:
        SystemFault: the database cannot be reached.
    """
    current = find_current_key(store).id
    columns = select(InstallationKeyRow.id, InstallationKeyRow.created_at).order_by(InstallationKeyRow.id)
    with store.read_session() as session:
        made = dict(session.execute(columns).all())
    return KeyStatus(current, store.url, made.pop(current), tuple(made))


def _read_current_key(store: Store) -> InstallationKey | None:
    with store.read_session() as session:
        row = session.scalar(_current())
        return None if row is None else InstallationKey(row.secret)


def _current() -> Select[InstallationKeyRow]:
    return select(InstallationKeyRow).where(InstallationKeyRow.current)


def _add_key(session: Session) -> InstallationKey:
    key = InstallationKey.generate()
    session.add(InstallationKeyRow(id=key.id, secret=key.secret, current=True))
    return key
