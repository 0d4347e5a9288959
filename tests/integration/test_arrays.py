"""
Arrays that we write ourselves are those the server reads.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from adapters.postgres.arrays import Integers, Uuids, column_of
from adapters.postgres.database import WRITER

ONE, LAST = UUID(int=1), UUID(int=2**128 - 1)


@pytest.mark.parametrize("ids", [[], [ONE], [ONE, LAST, ONE], [None, LAST], [ONE] * 5_000])
def test_ids_arrive_as_they_were(database, ids):
    with database.session(WRITER) as session:
        sent = session.execute("SELECT %b::uuid[], cardinality(%b::uuid[])", [Uuids(ids), Uuids(ids)]).fetchone()
    assert sent == (ids, len(ids))


@pytest.mark.parametrize("numbers", [[], [0], [1, -1, 2**31 - 1, -(2**31)], [None, 2025]])
def test_numbers_arrive_as_they_were(database, numbers):
    with database.session(WRITER) as session:
        assert session.execute("SELECT %b::integer[]", [Integers(numbers)]).fetchone() == (numbers,)


def test_ids_can_be_looked_for(database):
    with database.session(WRITER) as session:
        found = session.execute("SELECT %s = ANY(%b::uuid[])", [LAST, Uuids([ONE, LAST])]).fetchone()
    assert found == (True,)


@pytest.mark.parametrize(("sql_type", "made"), [("uuid", Uuids), ("integer", Integers), ("text", list), ("date", list)])
def test_a_column_goes_as_its_type_is_best_sent(sql_type, made):
    assert type(column_of(sql_type, iter([None]))) is made
