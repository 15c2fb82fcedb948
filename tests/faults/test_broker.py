"""What becomes of jobs when RabbitMQ loses, doubles, withholds or cuts something."""

import json
from typing import Any

import pika
import pytest

from tests.faults.conftest import Engine
from tests.faults.jobs import LeaveMark
from tests.servers.rabbitmq import RabbitmqNode
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.waiting import until
from workers.contract import Queue
from workers.jobs.broker import REASON_HEADER
from workers.jobs.hints import Hint
from workers.jobs.publisher import Publisher
from workers.jobs.queues import dead_letter_queue


def test_jobs_survive_a_broker_that_is_killed_and_comes_back(
    engine: Engine, rabbitmq_node: RabbitmqNode
) -> None:
    engine.start_scheduler()
    engine.start_worker()
    jobs = engine.enqueue(LeaveMark(), times=100)
    until(lambda: engine.state(jobs[10])[0] == "succeeded", "the work to begin")
    rabbitmq_node.kill()
    jobs += engine.enqueue(LeaveMark(), times=100)
    rabbitmq_node.start()
    engine.await_end(jobs, seconds=90)
    engine.assert_done_once(jobs)


def test_a_job_that_runs_while_the_broker_is_killed_ends_once(
    engine: Engine, held_job: int, rabbitmq_node: RabbitmqNode
) -> None:
    engine.start_scheduler()
    engine.start_worker()
    engine.await_arrival(held_job)
    rabbitmq_node.kill()
    rabbitmq_node.start()
    engine.open_gate()
    engine.await_end([held_job])
    later = engine.enqueue(LeaveMark(), times=10)
    engine.await_end(later, seconds=90)
    engine.assert_done_once([held_job, *later])
    assert engine.state(held_job) == ("succeeded", 1)


def test_a_lost_hint_is_sent_again(
    engine: Engine, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    engine.start_scheduler()
    jobs = engine.enqueue(LeaveMark(), times=10)
    until(lambda: rabbitmq_node.queue_depths(broker_vhost).get(LeaveMark.queue) == 10, "ten hints")
    with pika.BlockingConnection(pika.URLParameters(str(engine.broker_url))) as thief:
        thief.channel().queue_purge(LeaveMark.queue)
    engine.start_worker()
    engine.await_end(jobs)
    engine.assert_done_once(jobs)


def test_a_hint_that_comes_many_times_at_once_leads_to_one_run(
    engine: Engine, held_job: int
) -> None:
    publisher = Publisher(str(engine.broker_url))
    hint = Hint(held_job, LeaveMark.queue)
    assert publisher.publish([hint] * 40) == set()
    publisher.close()
    engine.start_worker(threads=8)
    engine.start_worker(threads=8)
    engine.await_arrival(held_job)
    engine.open_gate()
    engine.await_end([held_job])
    engine.assert_done_once([held_job])
    assert engine.state(held_job) == ("succeeded", 1)


def test_a_hint_for_a_finished_or_unknown_job_does_nothing(engine: Engine) -> None:
    engine.start_scheduler()
    engine.start_worker()
    [done] = engine.enqueue(LeaveMark())
    engine.await_end([done])
    publisher = Publisher(str(engine.broker_url))
    publisher.publish([Hint(done, LeaveMark.queue), Hint(2**40, LeaveMark.queue)])
    publisher.close()
    [next_job] = engine.enqueue(LeaveMark())
    engine.await_end([next_job])
    engine.assert_done_once([done, next_job])


@pytest.mark.parametrize("by", ["the broker", "the network"])
def test_a_connection_cut_mid_job_does_not_run_it_twice(
    engine: Engine, held_job: int, rabbitmq_node: RabbitmqNode, broker_vhost: str, by: str
) -> None:
    engine.start_scheduler()
    with TcpProxy(rabbitmq_node.port) as proxy:
        engine.start_worker(broker_url=rabbitmq_node.url(broker_vhost, port=proxy.port))
        engine.await_arrival(held_job)
        waiting = engine.enqueue(LeaveMark(), times=20)
        if by == "the broker":
            rabbitmq_node.close_all_connections()
        else:
            proxy.cut()
        # While the hint of the held job is delivered once more, the job is still running.
        engine.await_end(waiting)
        engine.open_gate()
        engine.await_end([held_job])
        engine.assert_done_once([held_job, *waiting])
        assert engine.state(held_job) == ("succeeded", 1)


def test_a_memory_alarm_delays_jobs_and_loses_none(
    engine: Engine, rabbitmq_node: RabbitmqNode
) -> None:
    engine.start_scheduler()
    engine.start_worker()
    before = engine.enqueue(LeaveMark(), times=20)
    engine.await_end(before)
    rabbitmq_node.set_memory_alarm(on=True)
    during = engine.enqueue(LeaveMark(), times=50)
    # The relay tries, hears that the broker is blocked, and takes its offers back.
    until(lambda: _withdrawn(engine, during), "the relay to notice the alarm")
    rabbitmq_node.set_memory_alarm(on=False)
    engine.await_end(during)
    engine.assert_done_once([*before, *during])


def test_a_queue_deleted_under_us_is_declared_again(
    engine: Engine, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    engine.start_scheduler()
    engine.start_worker()
    first = engine.enqueue(LeaveMark(), times=5)
    engine.await_end(first)
    with pika.BlockingConnection(pika.URLParameters(str(engine.broker_url))) as vandal:
        vandal.channel().queue_delete(LeaveMark.queue)
    second = engine.enqueue(LeaveMark(), times=5)
    engine.await_end(second)
    engine.assert_done_once([*first, *second])
    assert LeaveMark.queue in rabbitmq_node.queue_depths(broker_vhost)


def _envelope(**changes: Any) -> bytes:
    envelope: dict[str, Any] = {
        "queue_name": "certificates",
        "actor_name": "certificates",
        "args": [],
        "kwargs": {"job_id": 1},
        "options": {},
        "message_id": "5186f263-7974-4148-9ab2-1d0192fc3680",
        "message_timestamp": 1795425262394,
    }
    return json.dumps(envelope | changes).encode()


HOSTILE = {
    "not JSON": b"\x80\x04pickle?",
    "not UTF-8": b'{"queue_name": "\xff"}',
    "empty": b"",
    "an array": b"[]",
    "null": b"null",
    "nested too deep": b"[" * 3000,
    "too long": _envelope(message_id="x" * 5000),
    "options null": _envelope(options=None),
    "options filled": _envelope(options={"eta": 99999999999999, "pipe_target": {}}),
    "foreign queue": _envelope(queue_name="notifications"),
    "unknown queue": _envelope(queue_name="nowhere"),
    "unknown actor": _envelope(actor_name="os.system"),
    "kwargs null": _envelope(kwargs=None),
    "a further argument": _envelope(kwargs={"job_id": 1, "and": "more"}),
    "positional arguments": _envelope(args=[1]),
    "a job id of text": _envelope(kwargs={"job_id": "1"}),
    "a negative job id": _envelope(kwargs={"job_id": -1}),
    "a huge job id": _envelope(kwargs={"job_id": 2**70}),
    "a job id of truth": _envelope(kwargs={"job_id": True}),
    "a job id of half": _envelope(kwargs={"job_id": 1.5}),
    "a further key": _envelope(more="keys"),
    "a timestamp of text": _envelope(message_timestamp="yesterday"),
    "a message id of number": _envelope(message_id=7),
}


def test_hostile_messages_are_dead_lettered_with_a_reason_and_stall_nothing(
    engine: Engine, rabbitmq_node: RabbitmqNode, broker_vhost: str
) -> None:
    engine.start_scheduler()
    worker = engine.start_worker(threads=2)
    first = engine.enqueue(LeaveMark())
    engine.await_end(first)
    queue = Queue.CERTIFICATES.value
    with pika.BlockingConnection(pika.URLParameters(str(engine.broker_url))) as stranger:
        channel = stranger.channel()
        channel.confirm_delivery()
        for body in HOSTILE.values():
            channel.basic_publish("", queue, body, mandatory=True)
        # More than there are threads, so that one dead thread per message would silence the worker.
        jobs = engine.enqueue(LeaveMark(), times=50)
        engine.await_end(jobs)
        engine.assert_done_once(jobs)
        until(
            lambda: (
                rabbitmq_node.queue_depths(broker_vhost)[dead_letter_queue(queue)] == len(HOSTILE)
            ),
            "all of them to be dead-lettered",
        )
        reasons: dict[bytes, str] = {}
        for _ in HOSTILE:
            _, properties, letter = channel.basic_get(dead_letter_queue(queue), auto_ack=True)
            assert properties is not None
            assert properties.headers is not None
            assert letter is not None
            reasons[letter] = str(properties.headers[REASON_HEADER])
    assert set(reasons) == set(HOSTILE.values())
    assert all(reasons.values())
    assert reasons[HOSTILE["foreign queue"]].startswith("queue_name: ")
    assert reasons[HOSTILE["options null"]].startswith("options: ")
    assert reasons[HOSTILE["a job id of text"]].startswith("kwargs.job_id: ")
    assert rabbitmq_node.queue_depths(broker_vhost)[queue] == 0
    assert worker.process.poll() is None


def _withdrawn(engine: Engine, job_ids: list[int]) -> bool:
    row = (
        engine.connect()
        .execute(
            "SELECT count(*) FROM keywright.job WHERE job_id = ANY (%s) AND state = 'scheduled'",
            [job_ids],
        )
        .fetchone()
    )
    return row == (len(job_ids),)
