"""
Topics are made on purpose, as `schemas/topics.yaml` says, and never changed: a wrong one is named, not repaired.

More partitions would move keys and break the order; fewer copies would lose what was acknowledged. A topic that was
deleted and made again has the old name and nothing else of the old one; it is told apart by its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, RetriableError, TopicAlreadyExistsError

from adapters.kafka import clients
from adapters.kafka.access import Bootstrap
from adapters.kafka.line import BrokerAccessRefused, BrokerUnavailable
from domain.errors import Refused
from formats.contract import Topic

#: The largest batch that a topic must take: twice our largest record, with room for the frame.
BATCH_BYTES_MIN: Final = 1_048_588
_MAX_BYTES: Final = "max.message.bytes"
#: How long may pass until a topic that was deleted or made again is noticed.
WATCH_S: Final = 1.0
#: How long a broker of a cluster may not know of a topic that another one made; and one that is alone.
LEARNT_WITHIN_S: Final = 15.0
LEARNT_ALONE_WITHIN_S: Final = 3.0
#: How long brokers that are busy may take to make a topic, and to give each partition a leader.
MADE_WITHIN_S: Final = 60.0


class TopicsWrong(Refused):
    """
    The topics on the broker are not as schemas/topics.yaml says; nothing is sent. See: backoffice topics check
    """


class TopicMadeAgain(Refused):
    """
    A topic was deleted and made again under us: what it held is gone. Nothing more is sent; give it its past again from
    the store, or take a topic of a new name.
    """


class Found(NamedTuple):
    """
    A topic as the broker has it; `settings` are those that we ask for. `copies` is the fewest of any partition.
    """

    name: str
    topic_id: str
    partitions: int
    copies: int
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """
    What is asked of the broker. With `one_broker` (development, tests) one copy is enough; everything else stays.
    """

    topics: Sequence[Topic]
    one_broker: bool = False

    def settings(self, topic: Topic) -> dict[str, str]:
        found = {**topic.settings, _MAX_BYTES: str(BATCH_BYTES_MIN)}
        return found | {"min.insync.replicas": "1"} if self.one_broker else found

    def copies(self, topic: Topic) -> int:
        return 1 if self.one_broker else topic.replication

    def problems(self, found: Mapping[str, Found]) -> list[str]:
        """
        Return what differs, each in a few words that begin with the topic's name.
        """
        return [
            f"{topic.name}: {problem}"
            for topic in self.topics
            for problem in self._problems(topic, found.get(topic.name))
        ]

    def _problems(self, topic: Topic, found: Found | None) -> list[str]:
        if found is None:
            return ["it is not there"]
        problems = []
        if found.partitions != topic.partitions:
            problems.append(f"it has {found.partitions} partitions instead of {topic.partitions}")
        if found.copies < self.copies(topic):
            problems.append(f"a partition has {found.copies} copies instead of {self.copies(topic)}")
        for name, value in self.settings(topic).items():
            has = found.settings.get(name, "not set")
            if not _enough(name, has, value):
                problems.append(f"{name} is {has} instead of {value}")
        return problems


def _enough(name: str, has: str, wanted: str) -> bool:
    if name in {"min.insync.replicas", _MAX_BYTES}:
        return has.isdecimal() and int(has) >= int(wanted)
    return has == wanted


class Topics:
    """
    The topics of one cluster. Each question is asked by a client of its own that is closed again.
    """

    def __init__(self, bootstrap: Bootstrap, *, within_s: float = 5.0) -> None:
        self.bootstrap = bootstrap
        self.within_s = within_s

    def create(self, wanted: Wanted) -> list[str]:
        """
        Make the topics that are not there, and return their names. Those that are there are only looked at.

        Raises TopicsWrong (also for one that was there before) and BrokerUnavailable.
        """
        with self._asking() as admin:
            there = _find(admin, [topic.name for topic in wanted.topics])
            made = [topic for topic in wanted.topics if topic.name not in there]
            for topic in made:
                options = {
                    "num_partitions": topic.partitions,
                    "replication_factor": wanted.copies(topic),
                    "configs": wanted.settings(topic),
                }
                _make(admin, topic.name, options)
        self._until_known([topic.name for topic in wanted.topics])
        self.check(wanted)
        return [topic.name for topic in made]

    def check(self, wanted: Wanted) -> dict[str, Found]:
        """
        Return the topics as they are. Raises TopicsWrong with all that differs, and BrokerUnavailable.

        The brokers of a cluster learn of a topic one after the other, and we may ask any of them: one that does not
        know it is asked again for some seconds.
        """
        names = {topic.name for topic in wanted.topics}
        deadline = time.monotonic() + (LEARNT_ALONE_WITHIN_S if wanted.one_broker else LEARNT_WITHIN_S)
        while (found := self.find(sorted(names))).keys() < names and time.monotonic() < deadline:
            time.sleep(0.2)
        problems = wanted.problems(found)
        if problems:
            enough_for_one = not replace(wanted, one_broker=True).problems(found)
            advice = " With one broker only, for development, say so (--one-broker)." if enough_for_one else ""
            raise TopicsWrong(
                f"The topics are not as schemas/topics.yaml says; nothing is sent: {'; '.join(problems)}.{advice}"
            )
        return found

    def find(self, names: Sequence[str]) -> dict[str, Found]:
        """
        Return those of the topics that are there. Raises BrokerUnavailable.
        """
        with self._asking() as admin:
            return _find(admin, names)

    def _asking(self) -> _Asking:
        return _Asking(self.bootstrap, self.within_s)

    def _until_known(self, names: Sequence[str]) -> None:
        """
        Wait until every partition has a leader: a topic that was made a moment ago may still be unknown to a broker.
        """
        deadline = time.monotonic() + MADE_WITHIN_S
        while True:
            view = clients.probe(self.bootstrap, within_s=self.within_s)
            if all(name in view.partitions for name in names) and not view.leaderless:
                return
            if time.monotonic() > deadline:
                raise BrokerUnavailable(reason="a new topic has no leader", address=self.bootstrap)
            time.sleep(0.05)


class _Asking:
    """
    An admin client for one block; whatever the client raises means that the broker is away.
    """

    def __init__(self, bootstrap: Bootstrap, within_s: float) -> None:
        self._bootstrap = bootstrap
        self._within_s = within_s

    def __enter__(self) -> KafkaAdminClient:
        self._admin = clients.admin(self._bootstrap, within_s=self._within_s)
        return self._admin

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._admin.close()
        if isinstance(error, KafkaError):
            raise clients.unavailable(error, self._bootstrap) from None


def _make(admin: KafkaAdminClient, name: str, options: Mapping[str, object]) -> None:
    """
    Make a topic; a broker that was too busy to say yes in time is asked again. Raises TopicsWrong.
    """
    deadline = time.monotonic() + MADE_WITHIN_S
    while True:
        try:
            admin.create_topics({name: options}, timeout_ms=5_000)
        except TopicAlreadyExistsError:
            return  # somebody else was quicker, or our own first try; it is looked at like the others
        except RetriableError:
            if time.monotonic() > deadline:
                raise  # the broker is away
            time.sleep(0.2)
        except KafkaError as error:
            raise TopicsWrong(
                "A topic could not be made; with one broker only, say so (--one-broker).",
                topic=name, error=type(error).__name__,
            ) from None  # fmt: skip
        else:
            return


def _find(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    described = [each for each in admin.describe_topics(list(names)) if not each.get("error_code")]
    if not described:
        return {}
    resources = [ConfigResource("topic", each["name"]) for each in described]
    answers: Any = admin.describe_configs(resources, config_filter="all")
    settings: Mapping[str, Any] = next(iter(answers.values()), {})
    return {each["name"]: _found(each, settings.get(each["name"], {})) for each in described}


def _found(described: Mapping[str, Any], settings: Mapping[str, Any]) -> Found:
    partitions = described["partitions"]
    return Found(
        name=described["name"],
        topic_id=str(described["topic_id"]),
        partitions=len(partitions),
        copies=min((len(each["replica_nodes"]) for each in partitions), default=0),
        settings={name: str(each["value"]) for name, each in settings.items()},
    )


@dataclass
class Watch:
    """
    Looks every second whether the topics are still the ones that were filled. `remember` returns the ids known so far.
    """

    topics: Topics
    wanted: Wanted
    remember: Callable[[Mapping[str, str]], Mapping[str, str]]
    every_s: float = WATCH_S
    #: Topics that were not there when we looked last, by comma.
    missing: str = field(default="", init=False)
    #: Why the broker did not let us in when we looked last: a client that lives on would try again without a word.
    refused: BrokerAccessRefused | None = field(default=None, init=False)
    _looked: float = field(default=-1e9, init=False)
    _admin: KafkaAdminClient | None = field(default=None, init=False)
    _known: Mapping[str, str] = field(default_factory=dict, init=False)

    def begin(self) -> dict[str, Found]:
        """
        Check settings and ids before the first record. Raises TopicsWrong, TopicMadeAgain and BrokerUnavailable.
        """
        found = self.topics.check(self.wanted)
        ids = {name: each.topic_id for name, each in found.items()}
        self._known = self.remember(ids)
        self._compare(ids)
        self._looked = time.monotonic()
        return found

    def glance(self) -> None:
        """
        Compare the ids, at most once every `every_s` seconds. Raises TopicMadeAgain; a broker that is away is no news
        here, and a topic that is gone may come back only as another one.
        """
        if time.monotonic() - self._looked >= self.every_s:
            self.look()

    def look(self) -> None:
        """
        The same, now: after anything went wrong, and before it counts as right again.
        """
        try:
            if self._admin is None:
                self._admin = clients.admin(self.topics.bootstrap, within_s=0.0)
            described = self._admin.describe_topics(list(self._known))
        except (KafkaError, BrokerUnavailable) as problem:
            self.refused = problem if isinstance(problem, BrokerAccessRefused) else None
            self.close()
        else:
            self.refused = None
            ids = {each["name"]: str(each["topic_id"]) for each in described if not each.get("error_code")}
            self.missing = ", ".join(sorted(self._known.keys() - ids.keys()))
            self._compare(ids)
        self._looked = time.monotonic()

    def _compare(self, ids: Mapping[str, str]) -> None:
        again = sorted(name for name, topic_id in ids.items() if self._known.get(name, topic_id) != topic_id)
        if again:
            raise TopicMadeAgain(topics=", ".join(again))

    def close(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            admin.close()
