"""Messages for waiting jobs are sent, or due again at once if the broker is down."""

from __future__ import annotations

from pathlib import Path

from grader.service.store.schema import State
from tests.support.running_service import RunningService, notebooks


def test_what_a_broker_that_is_down_did_not_take_is_sent_as_soon_as_it_is_back(tmp_path: Path) -> None:
    with RunningService(tmp_path, republish_seconds=1000) as service:
        batch = service.accept(notebooks(3))
        service.redis.kill()
        assert service.enqueue() == 0
        service.redis.start()
        assert service.enqueue() == 3
        assert service.enqueue() == 0
        assert set(service.states(batch).values()) == {State.WAITING}
