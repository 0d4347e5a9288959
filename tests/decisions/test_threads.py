"""
Two threads: what is made ahead comes in its order, and neither goes on when the other one failed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from application.ports import Progress
from application.threads import both, made_ahead
from tests.patience import PATIENCE_S


def nobody(_done: int, _all: int) -> None:
    return None


class Broken(Exception):
    """
    What a part of the work fails with.
    """


def test_what_is_made_ahead_comes_in_its_order_and_the_next_one_is_made_while_one_is_used() -> None:
    making = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, begun in enumerate(making):
            begun.set()
            yield number

    seen = []
    for number in made_ahead(items()):
        seen.append(number)
        if number < 3:
            assert making[number + 1].wait(PATIENCE_S)
    assert seen == [0, 1, 2, 3]
    assert list(made_ahead(iter(()))) == []


def test_what_cannot_be_made_fails_where_it_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise Broken

    ahead = made_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(Broken):
        next(ahead)


def test_who_stops_in_the_middle_leaves_no_thread_and_no_other_pace_behind() -> None:
    threads, pace = threading.active_count(), sys.getswitchinterval()
    ahead = made_ahead(iter(range(10)))
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert (threading.active_count(), sys.getswitchinterval()) == (threads, pace)


def test_two_threads_do_all_parts_and_only_this_one_reports() -> None:
    parts, told, done = iter(range(100)), set[str](), list[int]()
    guard = threading.Lock()

    def worker(before_each: Progress) -> None:
        while True:
            before_each(len(done), 100)
            with guard:
                part = next(parts, None)
            if part is None:
                return
            done.append(part)

    both(worker, worker, progress=lambda _done, _all: told.add(threading.current_thread().name))
    assert sorted(done) == list(range(100))
    assert told == {threading.current_thread().name}


def until_told(before_each: Progress) -> None:
    """
    Do parts until what is asked before each says no.
    """
    while True:
        before_each(0, 0)


def broken(_before_each: Progress) -> None:
    raise Broken


def test_when_one_of_two_fails_the_other_ends_before_its_next_part() -> None:
    with pytest.raises(Broken):
        both(broken, until_told, progress=nobody)
    with pytest.raises(Broken):
        both(until_told, broken, progress=nobody)


def test_a_person_who_interrupts_waits_for_the_part_that_is_being_done_and_no_longer() -> None:
    def interrupted(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        both(until_told, until_told, progress=interrupted)
