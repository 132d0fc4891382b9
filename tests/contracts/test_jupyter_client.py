"""What grader/sandbox/guest/internals/jupyter_client.py and messages.py rely on in jupyter_client."""

from __future__ import annotations

import pytest

from tests.support.library_contracts import Library

JUPYTER_CLIENT = Library("jupyter_client")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        (
            "jupyter_client.session:Session.send",
            "self stream msg_or_type content parent ident buffers track header metadata",
        ),
        ("jupyter_client.session:Session.msg", "self msg_type content parent header metadata"),
        ("jupyter_client.session:Session.feed_identities", "self msg_list copy"),
        ("jupyter_client.session:Session.deserialize", "self msg_list content copy"),
        ("jupyter_client.session:json_packer", "obj"),
        ("jupyter_client.session:json_unpacker", "s"),
    ],
)
def test_a_function_is_there_with_its_parameters(path: str, parameters: str) -> None:
    JUPYTER_CLIENT.check_parameters(path, parameters)


def test_a_message_has_the_parts_that_are_read() -> None:
    message = JUPYTER_CLIENT.find("jupyter_client.session:Session")().msg("status", {}, parent=None)
    JUPYTER_CLIENT.check(message["header"]["msg_type"] == "status", "a message's header has its type")
    JUPYTER_CLIENT.check({"parent_header", "content"} <= message.keys(), "a message has a parent header and a content")
