"""The rights on PostgreSQL that a worker needs, and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from grader.errors import InputError

__all__ = ["write_worker_grants"]

_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_JOB_COLUMNS = (
    "state, stage, queue, attempts, device_faults, fence, lease_until, worker, published_at, publications, part, "
    "executed, message, refused, ended_at"
)
# Nothing on `token` and `mark`. A batch is locked while its events are recorded, which takes a right to change a
# column. Its id cannot be changed, because other tables refer to it.
_RIGHTS: Mapping[str, Sequence[str]] = {
    "alembic_version": ["SELECT"],
    "batch": ["SELECT", "UPDATE (id)"],
    "submission": ["SELECT"],
    "submission_file": ["SELECT"],
    "grading": ["SELECT", f"UPDATE ({_JOB_COLUMNS})"],
    "attempt": ["SELECT", "INSERT", "UPDATE (ended_at, outcome, message)"],
    "report": ["SELECT", "INSERT"],
    "waiting_item": ["INSERT"],
    "event": ["SELECT (id, at)", "INSERT"],
    "installation_key": ["SELECT", "INSERT"],  # the first worker makes the first key
}
_SEQUENCES = ("attempt_id_seq", "report_id_seq", "event_id_seq")


def write_worker_grants(role: str) -> str:
    """Return the SQL that gives a role of PostgreSQL what workers need, and takes from it whatever else it had.

    Raises:
        InputError: the role's name is not plain.
    """
    if not _ROLE.fullmatch(role):
        raise InputError(f"{role!r} is no name for a role: give lower-case letters, digits and underscores")
    lines = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role};",
        f"GRANT USAGE ON SCHEMA public TO {role};",
        *(f"GRANT {', '.join(rights)} ON {table} TO {role};" for table, rights in _RIGHTS.items()),
        f"GRANT USAGE ON SEQUENCE {', '.join(_SEQUENCES)} TO {role};",
    ]
    return "\n".join(lines) + "\n"
