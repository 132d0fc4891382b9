"""Celery and kombu still have the undocumented parts that `grader.service.celery_internals` uses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery, bootsteps
from kombu.transport.redis import Channel
from kombu.transport.virtual import QoS

from grader.errors import SystemFault
from grader.service.broker import make_broker_app
from grader.service.celery_internals import configure, count_reserved, count_unacknowledged
from grader.service.settings import Settings


def test_celery_knows_all_settings_of_the_broker() -> None:
    with make_broker_app(Settings()) as app:
        assert app.conf.task_acks_late is True


def test_a_setting_that_celery_does_not_know_is_an_error() -> None:
    with (
        Celery("grader", set_as_current=False) as app,
        pytest.raises(SystemFault, match="Celery has no setting x"),
    ):
        configure(app, x=1)


def test_a_transport_option_that_kombu_does_not_know_is_an_error() -> None:
    with (
        Celery("grader", set_as_current=False) as app,
        pytest.raises(SystemFault, match="kombu has no setting x"),
    ):
        configure(app, broker_transport_options={"visibility_timeout": 1, "x": 1})


def test_kombu_counts_messages_that_were_not_acknowledged() -> None:
    assert issubclass(Channel.QoS, QoS), "kombu: the Redis channel's QoS is not the virtual transport's"
    quality = QoS(SimpleNamespace(), prefetch_count=3)
    quality.restore_at_shutdown = False  # or kombu would send what is left to a broker
    consumer = SimpleNamespace(task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=quality)))
    assert count_unacknowledged(consumer) == 0
    quality.append(object(), "first")
    quality.append(object(), "second")
    assert count_unacknowledged(consumer) == 2, "kombu: QoS.can_consume_max_estimate() changed"
    quality.ack("first")
    assert count_unacknowledged(consumer) == 1, "kombu: an acknowledged message still counts"


def test_celery_keeps_a_set_of_reserved_requests() -> None:
    from celery.worker import state

    class Request:
        id = "a request"

    request = Request()
    before = count_reserved()
    state.task_reserved(request)
    assert count_reserved() == before + 1, "Celery: worker.state.reserved_requests moved"
    state.reserved_requests.discard(request)


def test_celery_sets_its_signal_handlers_before_a_worker_s_steps_start() -> None:
    from celery.apps.worker import Worker

    assert callable(Worker.on_start), "Celery: a worker has no on_start()"
    order: list[str] = []

    class Step(bootsteps.StartStopStep):  # type: ignore[misc]
        def start(self, _: object) -> None:
            order.append("a step")

    class Blueprint(bootsteps.Blueprint):  # type: ignore[misc]
        name = "a test"
        default_steps = (Step,)

    parent = SimpleNamespace(steps=[])
    blueprint = Blueprint(on_start=lambda: order.append("the handlers"))
    blueprint.apply(parent)
    blueprint.start(parent)
    assert order == ["the handlers", "a step"], "Celery: a blueprint's on_start() no longer comes first"
    assert "install_platform_tweaks" in Worker.on_start.__code__.co_names, "Celery: on_start() sets no signal handlers"
