"""
Is a topic still the one whose offsets we know? Another one under the same name has another id, and nothing else tells.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from adapters.kafka import clients
from adapters.kafka.access import Bootstrap
from adapters.kafka.line import BrokerAccessRefused, BrokerUnavailable
from domain.errors import Refused


class OtherTopic(Refused):
    """
    The topic was deleted and made again under the same name, so where this consumer stood means nothing in it; nothing
    is taken. When the new one holds everything, begin at its start: backoffice consume CONSUMER --afresh
    """


class TopicGuard:
    """
    Knows the id of each topic, and notices when another topic was made under the same name.
    """

    def __init__(self, bootstrap: Bootstrap, topics: Sequence[str], *, every_s: float) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._every_s = every_s
        self._looked = float("-inf")
        self._admin: KafkaAdminClient | None = None
        self.ids: dict[str, str] = {}
        #: Topics that were not there when we looked last, by comma.
        self.missing = ""

    def check(self, *, now: bool = False) -> bool:
        """
        Ask the broker for the topics' ids when it is time, and return whether one is missing. Raises OtherTopic, and
        BrokerUnavailable when nobody ever answered; later, a broker that is away is no news here, but one that does not
        let us in is (BrokerAccessRefused): the client would try again for ever without a word.
        """
        if not now and time.monotonic() - self._looked < self._every_s:
            return bool(self.missing)
        try:
            if self._admin is None:
                self._admin = clients.admin(self._bootstrap, within_s=0.0 if self.ids else 5.0)
            described = self._admin.describe_topics(list(self._topics))
        except BrokerAccessRefused:
            self.close()
            raise
        except (KafkaError, BrokerUnavailable) as error:
            self.close()
            if not self.ids:
                if isinstance(error, BrokerUnavailable):
                    raise
                raise clients.unavailable(error, self._bootstrap) from None
        else:
            there = {each["name"]: str(each["topic_id"]) for each in described if not each.get("error_code")}
            self.missing = ", ".join(sorted(set(self._topics) - there.keys()))
            for topic, found in there.items():
                if self.ids.setdefault(topic, found) != found:
                    raise OtherTopic(topic=topic)
        self._looked = time.monotonic()
        return bool(self.missing)

    def same(self, topic: str, seen: object) -> None:
        """
        Compare what the client heard of a topic's id when it fetched; None is nothing heard. Raises OtherTopic.
        """
        if seen is not None and self.ids.get(topic, str(seen)) != str(seen):
            raise OtherTopic(topic=topic)

    def close(self) -> None:
        if self._admin is not None:
            admin, self._admin = self._admin, None
            admin.close()

    def __enter__(self) -> TopicGuard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
