"""
What every consumer of ours promises, on a real broker and a real database: once, in order, and never jumping over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.net.compat import KafkaNetClient

from adapters.kafka import clients
from adapters.kafka.broker import Kafka
from adapters.postgres import consumer_positions
from adapters.postgres.consumer_positions import OvertakenConsumer, Record, place_of
from adapters.postgres.database import WRITER, Database
from consumers.batch import Batch
from consumers.published_accounts import PremiumAccounts, begin_afresh, compare, prepare
from consumers.topic_guard import OtherTopic
from domain.errors import Unavailable
from formats.partitions import partition_of
from formats.published import key_of, publish, topic_of
from tests.consumer_material import (
    NOW_MS,
    QUICK,
    SOURCE,
    Out,
    a_loop,
    asked,
    catch_up,
    expected,
    life_of,
    messages,
    offsets,
    running,
    send,
    stands,
)
from tests.patience import eventually
from tests.world import World, paid

MakeTopic = Callable[..., str]


def record_of(out: Out, *, topic: str, offset: int) -> Record:
    return Record(topic, out.partition, offset, out.key, out.value, out.headers, out.timestamp_ms)


def test_what_is_published_becomes_rows_and_the_offset_stands_beside_them(kafka, database, make_topic):
    topic, events = make_topic(kafka, partitions=3), life_of(30, payments=3)
    send(kafka, topic, messages(events, partitions=3))
    loop = catch_up(kafka, database, topic)
    assert loop.taken == len(events)
    assert stands(database) == expected(events)
    assert sum(next_offset for _, next_offset, _ in offsets(database)) == len(events)
    assert max(high_water for _, _, high_water in offsets(database)) == len(events)


def test_a_page_that_is_sent_again_changes_nothing(kafka, database, make_topic):
    topic, events = make_topic(kafka), life_of(10, payments=3)
    outs = messages(events)
    send(kafka, topic, [*outs[:30], *outs[10:30], *outs[10:], *outs[-5:]])
    catch_up(kafka, database, topic)
    assert stands(database) == expected(events)
    assert offsets(database) == [(0, len(outs) + 45, len(events))]


def test_effect_and_offset_come_together_or_not_at_all(kafka, database, make_topic):
    class FailsOnce(PremiumAccounts):
        failed = False

        def apply(self, cursor: Any, messages: Any) -> None:
            super().apply(cursor, messages)
            if not self.failed:
                self.failed = True
                raise OvertakenConsumer

    topic, events = make_topic(kafka), life_of(5, payments=2)
    send(kafka, topic, messages(events))
    catch_up(kafka, database, topic, effect=FailsOnce())
    assert stands(database) == expected(events)


def test_a_member_that_is_stopped_in_its_transaction_loses_it_and_its_heir_goes_on(
    kafka: Kafka, database: Database, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_positions, "STAND_STILL_S", 1)
    topic, events = make_topic(kafka), life_of(5, payments=2)
    outs = messages(events)
    send(kafka, topic, outs[:10])
    catch_up(kafka, database, topic)
    send(kafka, topic, outs[10:])
    with pytest.raises(Unavailable, match="stood still for too long"), database.session(WRITER) as stopped:  # noqa: PT012  what it does is nothing
        cursor = stopped.cursor()
        assert place_of(cursor, PremiumAccounts.name, topic, 0, lock=True) is not None
        catch_up(kafka, database, topic)
        cursor.execute("SELECT 1")
    assert stands(database) == expected(events)


def test_a_batch_that_begins_behind_where_the_database_stands_jumps_over_nothing(kafka, database):
    prepare(database)
    outs = messages(life_of(5, payments=2))
    records = [record_of(out, topic="t", offset=offset) for offset, out in enumerate(outs)]
    with database.session(WRITER) as session, session.cursor() as cursor:
        cursor.execute("INSERT INTO consumer_offsets VALUES ('premium-accounts', 't', 0, 'id', 5, 5)")
        batch = Batch(cursor, PremiumAccounts(), now_ms=NOW_MS)
        with pytest.raises(OvertakenConsumer):
            batch.take(records[8:], reached=8)
        assert batch.take(records[:12], reached=0).next_offset == 12


def test_a_gap_stops_that_partition_with_one_sentence_and_the_others_go_on(kafka, database, make_topic):
    topic, events = make_topic(kafka, partitions=2), life_of(20, payments=2)
    outs = messages(events, partitions=2)
    of_first = [out for out in outs if out.partition == 0]
    missing = of_first[7]
    send(kafka, topic, [out for out in outs if out is not missing])
    told: list[str] = []
    catch_up(kafka, database, topic, says=told.append)
    (gap,) = told
    assert "another one came before it which is not here" in gap
    assert "partition=0, offset=7" in gap
    assert offsets(database)[0][1] == 7
    assert offsets(database)[1][1] == len(outs) - len(of_first)
    (standing,) = asked(database, "SELECT standing FROM consumer_offsets WHERE partition = 0")
    assert standing == (gap,)


@pytest.mark.parametrize("sequence", [3, 4])
def test_a_source_that_was_put_back_to_an_earlier_state_stops_the_partition(kafka, database, make_topic, sequence):
    topic, events = make_topic(kafka), life_of(4, payments=0)
    send(kafka, topic, messages(events[:4]))
    again = publish(events[sequence - 1], source=SOURCE, epoch="2", previous_sequence=sequence - 1)
    assert again is not None
    send(kafka, topic, [Out(0, again.partition_key, again.value, again.headers, again.timestamp_ms)])
    told: list[str] = []
    catch_up(kafka, database, topic, says=told.append)
    assert "The source was put back to an earlier state" in told[0]
    assert offsets(database) == [(0, 4, 4)]


def test_a_source_put_back_to_before_the_last_message_is_seen_although_its_numbers_rise(kafka, database, make_topic):
    """
    The last one that we took never happened there, and in our partition nothing came between: only the chain tells.
    """
    topic, events = make_topic(kafka), life_of(4, payments=2)
    again = publish(events[9], source=SOURCE, epoch="2", previous_sequence=3)
    assert again is not None
    send(kafka, topic, messages(events[:4]))
    send(kafka, topic, [Out(0, again.partition_key, again.value, again.headers, again.timestamp_ms)])
    told: list[str] = []
    catch_up(kafka, database, topic, says=told.append)
    assert "The source was put back to an earlier state" in told[0]
    assert offsets(database) == [(0, 4, 4)]


def test_a_planned_change_of_the_database_server_is_no_reason_to_stop(kafka, database, make_topic):
    topic, events = make_topic(kafka), life_of(4, payments=1)
    send(kafka, topic, [*messages(events)[:6], *messages(events, epoch="2")[6:]])
    catch_up(kafka, database, topic)
    assert stands(database) == expected(events)


def test_two_members_come_and_go_and_every_message_counts_once(kafka, database, make_topic):
    topic, events = make_topic(kafka, partitions=4), life_of(60, payments=8)
    outs = messages(events, partitions=4)
    writer = threading.Thread(target=lambda: [send(kafka, topic, outs[at : at + 20]) for at in range(0, len(outs), 20)])

    def member() -> Any:
        return a_loop(kafka, database, topic, records_at_once=40)

    with running(member) as first:
        writer.start()
        with running(member) as second:
            eventually(lambda: first.loop.taken + second.loop.taken > 100)
        with running(member):
            first.stop()
            writer.join()
            eventually(lambda: sum(each[1] for each in offsets(database)) == len(outs))
    assert stands(database) == expected(events)


# --- Topics that are gone ---------------------------------------------------------------------------------------------


def delete(kafka: Kafka, topic: str) -> None:
    admin = clients.admin(kafka.address)
    admin.delete_topics([topic])
    admin.close()
    eventually(lambda: topic not in clients.probe(kafka.address).partitions)


@pytest.mark.parametrize("again", [5, 60], ids=["shorter", "longer"])
def test_a_topic_that_was_made_again_while_nobody_looked_is_refused(kafka, database, make_topic, again):
    topic, events = make_topic(kafka), life_of(10, payments=3)
    send(kafka, topic, messages(events)[:20])
    catch_up(kafka, database, topic)
    before = stands(database)
    delete(kafka, topic)
    make_topic(kafka, name=topic)
    send(kafka, topic, (messages(events) * 2)[:again])
    with pytest.raises(OtherTopic, match="deleted and made again"):
        catch_up(kafka, database, topic)
    assert stands(database) == before
    begin_afresh(database)
    catch_up(kafka, database, topic)
    assert offsets(database)[0][1] == again


@pytest.mark.usefixtures("sockets_left_behind")
@pytest.mark.parametrize("again", [5, 60], ids=["shorter", "longer"])
def test_a_topic_that_is_made_again_under_a_running_consumer_ends_it(kafka, database, make_topic, again):
    topic, events = make_topic(kafka), life_of(10, payments=3)
    send(kafka, topic, messages(events)[:20])
    with running(lambda: a_loop(kafka, database, topic)) as member:
        eventually(lambda: offsets(database) == [(0, 20, 20)])
        delete(kafka, topic)
        make_topic(kafka, name=topic)
        send(kafka, topic, (messages(events) * 2)[:again])
        eventually(member.has_ended)
    assert isinstance(member.error, OtherTopic)
    assert offsets(database)[0][1] == 20


def test_a_topic_that_is_not_there_yet_is_waited_for(kafka, database, make_topic):
    with running(lambda: a_loop(kafka, database, "test.comes.later")) as member:
        eventually(lambda: "The topic test.comes.later is not there; waiting until it is made." in member.told)
        make_topic(kafka, name="test.comes.later")
        send(kafka, "test.comes.later", messages(life_of(2, payments=0)))
        eventually(lambda: offsets(database) == [(0, 4, 4)])


# --- A client that is not told of its topics ----------------------------------------------------------------------------


def forgetful(asks_in_vain: Callable[[], bool], *, asks_every_ms: int) -> dict[str, Any]:
    """
    Settings of a member whose client asks the broker about no topic while `asks_in_vain()`: so it is with kafka-python
    when the answer to a question from before it subscribed comes in late, and counts as the answer to the later one.
    """

    class Forgetful(KafkaNetClient):  # type: ignore[misc]  # the library has no types
        def __init__(self, **configs: Any) -> None:
            super().__init__(**configs)
            ask = self.cluster.metadata_request

            def metadata_request() -> Any:
                known = self.cluster._topics
                self.cluster._topics = set() if asks_in_vain() else known
                try:
                    return ask()
                finally:
                    self.cluster._topics = known

            self.cluster.metadata_request = metadata_request

    return {**QUICK, "kafka_client": Forgetful, "metadata_max_age_ms": asks_every_ms}


def test_a_member_that_was_not_told_of_its_topic_asks_until_it_is(kafka, database, make_topic):
    topic, events = make_topic(kafka, partitions=2), life_of(5, payments=2)
    send(kafka, topic, messages(events, partitions=2))
    in_vain = iter([True] * 4)
    # By itself it asks again later than anybody waits here.
    settings = forgetful(lambda: next(in_vain, False), asks_every_ms=900_000)
    with running(lambda: a_loop(kafka, database, topic, settings=settings)) as member:
        eventually(lambda: member.loop.taken == len(events))
    assert (next(in_vain, None), member.told) == (None, [])
    assert stands(database) == expected(events)


def test_a_client_that_forgets_its_topic_for_good_is_thrown_away_and_the_next_goes_on(kafka, database, make_topic):
    topic, events = make_topic(kafka, partitions=2), life_of(5, payments=4)
    outs = messages(events, partitions=2)
    send(kafka, topic, outs[:10])
    forgets = threading.Event()
    settings = forgetful(forgets.is_set, asks_every_ms=300)
    with running(lambda: a_loop(kafka, database, topic, settings=settings, join_s=5.0)) as member:
        eventually(lambda: member.loop.taken == 10)
        forgets.set()
        eventually(lambda: any("did not learn of its topics" in told for told in member.told))
        send(kafka, topic, outs[10:])
        forgets.clear()
        eventually(lambda: member.loop.taken == len(outs))
    assert member.error is None
    assert stands(database) == expected(events)


def test_a_client_that_is_let_in_by_nobody_is_thrown_away_and_said(kafka, database, make_topic):
    topic, events = make_topic(kafka), life_of(5, payments=2)
    send(kafka, topic, messages(events))
    # In the group and alive, but it never asks for more: everybody who joins waits for it.
    deaf = {**QUICK, "max_poll_interval_ms": 900_000, "auto_offset_reset": "earliest"}
    sleeps = clients.consumer(kafka.address, group="backoffice.premium-accounts", **deaf)
    sleeps.subscribe([topic])
    eventually(lambda: bool(sleeps.poll(timeout_ms=200) or sleeps.assignment()))
    settings = {**QUICK, "max_poll_interval_ms": 1_000}
    with running(lambda: a_loop(kafka, database, topic, settings=settings, join_s=3.0)) as member:
        eventually(lambda: any("did not get into its group" in told for told in member.told))
        sleeps.close()
        member.loop.join_s, member.loop.settings = 60.0, QUICK
        eventually(lambda: member.loop.taken == len(events))
    assert member.error is None
    assert stands(database) == expected(events)


# --- Places that the log does not hold --------------------------------------------------------------------------------


def test_a_place_beyond_the_log_is_an_alarm_and_never_a_jump(kafka, database, make_topic):
    topic = make_topic(kafka, partitions=2)
    outs = messages(life_of(10, payments=2), partitions=2)
    send(kafka, topic, outs)
    catch_up(kafka, database, topic)
    asked(database, "UPDATE consumer_offsets SET next_offset = 500 WHERE partition = 1 RETURNING 1")
    more = [out for out in messages(life_of(10, payments=4), partitions=2) if out.partition == 0]
    with running(lambda: a_loop(kafka, database, topic)) as member:
        eventually(lambda: any("The log does not hold the place" in told for told in member.told))
        send(kafka, topic, more)
        eventually(lambda: offsets(database)[0][1] == len(more) + sum(out.partition == 0 for out in outs))
    assert offsets(database)[1][1] == 500
    assert "The log does not hold" in asked(database, "SELECT standing FROM consumer_offsets WHERE partition = 1")[0][0]
    assert member.error is None


def test_a_log_that_was_cut_off_before_our_place_is_an_alarm(kafka, database, make_topic):
    topic, outs = make_topic(kafka), messages(life_of(10, payments=2))
    send(kafka, topic, outs[:10])
    catch_up(kafka, database, topic)
    send(kafka, topic, outs[10:])
    admin = clients.admin(kafka.address)
    admin.delete_records({TopicPartition(topic, 0): 20})
    admin.close()
    with running(lambda: a_loop(kafka, database, topic)) as member:
        eventually(lambda: any("The log does not hold the place" in told for told in member.told))
    assert offsets(database) == [(0, 10, 10)]


def test_a_new_consumer_begins_at_the_first_message_that_the_topic_still_has(kafka, database, make_topic):
    topic, outs = make_topic(kafka), messages(life_of(10, payments=2))
    send(kafka, topic, [*outs[:20], *outs])
    admin = clients.admin(kafka.address)
    admin.delete_records({TopicPartition(topic, 0): 20})
    admin.close()
    loop = catch_up(kafka, database, topic)
    assert loop.taken == len(outs)
    assert stands(database) == expected(life_of(10, payments=2))


# --- The same as the store --------------------------------------------------------------------------------------------


def publish_all(world: World, kafka: Kafka, topic: str, *, partitions: int) -> int:
    """
    Publish what the store holds of affiliations, as the relay would.
    """
    sent: dict[int, int] = {}
    outs = []
    for envelope in world.backoffice.store.feed.read(after=0, limit=100_000):
        if topic_of(envelope) != "backoffice.zorgkas-affiliation.v1":
            continue
        partition = partition_of(key_of(envelope.stream), partitions)
        message = publish(envelope, source=SOURCE, epoch="1", previous_sequence=sent.get(partition))
        assert message is not None
        sent[partition] = envelope.position
        outs.append(Out(partition, message.partition_key, message.value, message.headers, message.timestamp_ms))
    send(kafka, topic, outs)
    return len(outs)


def test_the_premium_account_from_kafka_equals_the_one_from_the_store_by_hash(kafka, database, make_topic, tmp_path):
    world = World(database, tmp_path, started_on=date(2025, 1, 2))
    world.register_many(40, on=date(2025, 1, 3))
    world.run("invitations", on=date(2025, 1, 20))
    asks = world.asked("invitation", 2025)
    movements = [paid(ogm, cents, value_date=date(2025, 3, 3)) for _, _, ogm, cents in asks[:30]]
    world.bank(date(2025, 3, 3), movements)
    topic = make_topic(kafka, partitions=3)
    count = publish_all(world, kafka, topic, partitions=3)
    later = {"now_ms": lambda: NOW_MS + 10**13}
    assert catch_up(kafka, database, topic, **later).taken == count
    compared = compare(database)
    assert compared.equal
    assert compared.store_affiliations == compared.kafka_affiliations == len(asks) > 30
    asked(database, "UPDATE rm_published_premium_account.affiliation SET received_cents = received_cents + 1 "
          "WHERE stream = %s RETURNING 1", asks[3][0])  # fmt: skip
    assert not compare(database).equal
    assert compare(database).unlike == [asks[3][0]]
    begin_afresh(database)
    catch_up(kafka, database, topic, **later)
    assert compare(database).equal


def test_consumers_leave_the_brokers_own_offsets_alone(kafka, database, make_topic):
    topic = make_topic(kafka)
    send(kafka, topic, messages(life_of(3, payments=0)))
    catch_up(kafka, database, topic)
    consumer = clients.consumer(kafka.address, group="backoffice.premium-accounts", **QUICK)
    assert consumer.committed(TopicPartition(topic, 0)) is None
    consumer.close()
