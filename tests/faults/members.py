"""
Members of a consumer group in processes of their own, to be closed, killed and stopped; and the planted defects of theirs.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import msgspec

from adapters.kafka import clients
from adapters.postgres import consumer_positions as places
from adapters.postgres.database import Database
from consumers.batch import Batch, Taken
from consumers.loop import Loop
from consumers.published_accounts import TOPIC, PremiumAccounts
from tests.faults.relays import PROCESSES
from tests.patience import PATIENCE_S

#: A member that was killed or stopped is declared dead soon.
SOON_GONE = {"session_timeout_ms": 3_000, "heartbeat_interval_ms": 300}


class OffsetFirst(Batch):
    """
    The planted defect: the offset in a transaction of its own, then the effect.
    """

    def take(self, records: Any, *, reached: int = 0) -> Taken:
        place = places.place_of(self._cursor, self._name, records[0].topic, records[0].partition, lock=True)
        assert place is not None
        fresh = [record for record in records if record.offset >= place.next_offset]
        if fresh:
            read = [self._effect.read(record, latest_ms=self._latest_ms) for record in fresh]
            last = records[-1].offset + 1
            moved = place._replace(next_offset=last, high_water=read[-1].event.sequence, epoch="1")
            places.move(self._cursor, self._name, moved)
            self._cursor.connection.commit()
            time.sleep(0.002)  # nothing more than a busy machine does
            self._effect.apply(self._cursor, list(zip(fresh, read, strict=True)))
        return Taken(records[-1].offset + 1, None)


class LooksAtNothing(Batch):
    """
    The planted defect: what was taken before is taken again, and so is what the relay sent again.
    """

    def take(self, records: Any, *, reached: int = 0) -> Taken:
        read = [(record, self._effect.read(record, latest_ms=self._latest_ms)) for record in records]
        self._effect.apply(self._cursor, read)
        place = places.place_of(self._cursor, self._name, records[0].topic, records[0].partition, lock=True)
        assert place is not None
        places.move(self._cursor, self._name, place._replace(next_offset=records[-1].offset + 1))
        return Taken(records[-1].offset + 1, None)


BATCHES: dict[str, type[Batch]] = {"right": Batch, "offset first": OffsetFirst, "looks at nothing": LooksAtNothing}


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """
    Of which group a member is: that of the premium accounts, on the public topic. `kind` names a planted defect.
    """

    url: str
    bootstrap: str
    kind: str = "right"


def work(of: Membership, begins: Any) -> None:
    """
    Be a member; say when it can be told to stop. SIGTERM stops it cleanly.
    """
    clients.quiet_logs()
    with Database(of.url, application="member") as database:
        loop = Loop(
            bootstrap=of.bootstrap, topics=[TOPIC], effect=PremiumAccounts(), database=database,
            now_ms=lambda: time.time_ns() // 1_000_000, make_batch=BATCHES[of.kind], records_at_once=50,
            settings=SOON_GONE, topic_check_s=0.3,
        )  # fmt: skip
        signal.signal(signal.SIGTERM, lambda *_: loop.stop.set())
        begins.send(True)
        loop.run()


class Member:
    """
    One member that comes and goes; `start` makes the next process of it.
    """

    def __init__(self, of: Membership) -> None:
        self._of = of
        self.process: Any = None
        self.start()

    def start(self) -> None:
        hears, says = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=work, args=(self._of, says), daemon=True)
        self.process.start()
        says.close()
        assert hears.poll(PATIENCE_S), "the member did not start"
        hears.recv()
        hears.close()

    def send(self, which: signal.Signals) -> None:
        os.kill(self.process.pid, which)

    def end(self, how: signal.Signals) -> int | None:
        """
        End it, and return its exit code; nothing when it hangs.
        """
        self.send(how)
        self.process.join(PATIENCE_S)
        code: int | None = self.process.exitcode
        return code

    def kill(self) -> None:
        if self.process.is_alive():
            self.end(signal.SIGKILL)
