"""
A read model is rebuilt by several processes as it is by one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from adapters.postgres.database import Database
from adapters.postgres.rebuild import Rebuild
from adapters.rebuild_workers import RebuildersStopped, filled_by, workers_for
from domain.errors import Unavailable
from domain.ids import Kind
from tests.world import World


@contextmanager
def open_rebuild(url: str, home: str, name: str) -> Iterator[Rebuild]:
    with Database(url) as database:
        world = World(database, Path(home), opened=True)
        yield world.backoffice.rebuild(name)
        world.backoffice.close()


@contextmanager
def cannot_open(url: str, home: str, name: str) -> Iterator[Rebuild]:
    if multiprocessing.parent_process() is not None:
        raise Unavailable("not today")
    with open_rebuild(url, home, name) as rebuild:
        yield rebuild


@contextmanager
def killed_at_work(url: str, home: str, name: str) -> Iterator[Rebuild]:
    with open_rebuild(url, home, name) as rebuild:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        yield rebuild


@pytest.mark.parametrize("name", ["premium_account", "payments"])
def test_two_processes_rebuild_what_one_does(database, tmp_path, name):
    fund = World(database, tmp_path)
    fund.register_many(40)
    fund.run("invitations", on=date(2024, 1, 20))
    rebuild = fund.backoffice.rebuild(name)
    seen: list[int] = []
    folded = rebuild.build(
        streams=fund.backoffice.pages,
        moved=seen.append,
        fill=filled_by(partial(open_rebuild, database.url, str(tmp_path), name), workers=2),
    )
    assert all(difference.none for difference in rebuild.differences())
    rebuild.drop()
    alone = fund.backoffice.rebuild(name)
    assert alone.build(streams=fund.backoffice.pages, moved=lambda _: None) == folded
    kinds = fund.backoffice.models[name].kinds
    assert sum(seen) == sum(len(page) for kind in kinds for page in fund.backoffice.pages(kind))
    alone.drop()


@pytest.mark.parametrize("at_work", [cannot_open, killed_at_work])
def test_a_worker_that_cannot_start_or_is_killed_ends_the_rebuild_and_what_is_in_use_stays(database, tmp_path, at_work):
    fund = World(database, tmp_path)
    fund.register_many(3)
    fund.backoffice.catch_up()
    rebuild = fund.backoffice.rebuild("members")
    fill = filled_by(partial(at_work, database.url, str(tmp_path), "members"), workers=2)
    with pytest.raises(RebuildersStopped, match="what is in use was not touched"):
        rebuild.build(streams=fund.backoffice.pages, moved=lambda _: None, fill=fill)
    rebuild.drop()
    assert fund.rows("SELECT count(*) FROM rm_members.member") == [(3,)]


def test_this_process_fills_pages_while_the_others_start(database, tmp_path):
    fund = World(database, tmp_path)
    fund.register_many(12)
    rebuild = fund.backoffice.rebuild("members")
    fill = filled_by(partial(open_rebuild, database.url, str(tmp_path), "members"), workers=2)
    one_by_one = [[stream] for page in fund.backoffice.pages(Kind.MEMBER) for stream in page]
    seen: list[int] = []
    folded = rebuild.build(streams=lambda _: iter(one_by_one), moved=seen.append, fill=fill)
    assert (len(seen), sum(seen)) == (12, 12)
    rebuild.swap()
    assert fund.rows("SELECT count(*) FROM rm_members.member") == [(12,)]
    assert folded >= 12


def test_who_stops_in_the_middle_leaves_no_process_behind(database, tmp_path):
    fund = World(database, tmp_path)
    fund.register_many(3)

    def stops(_: int) -> None:
        raise KeyboardInterrupt

    rebuild = fund.backoffice.rebuild("members")
    fill = filled_by(partial(open_rebuild, database.url, str(tmp_path), "members"), workers=2)
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        rebuild.build(streams=fund.backoffice.pages, moved=stops, fill=fill)
    assert set(multiprocessing.active_children()) <= before
    rebuild.drop()


@pytest.mark.parametrize(("events", "workers"), [(999_999, {1}), (1_000_000, {1, 2})])
def test_a_second_process_is_for_large_funds(events, workers):
    assert workers_for(events) in workers
