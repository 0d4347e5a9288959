"""
What the environment may say, and how it is told that it is wrong; and the clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.clock import FixedClock, SystemClock, today_in_brussels
from adapters.settings import PROJECT, Settings
from domain.errors import Unreadable
from tests.table import cases


def test_nothing_set_means_embedded_under_var():
    settings = Settings.from_environment({})
    assert settings.embedded
    assert settings.home == PROJECT / "var"
    assert settings.embedded_directory == PROJECT / "var" / "postgres"
    assert settings.master_key_file == PROJECT / "var" / "keys" / "master.key"
    assert settings.kafka_brokers == ()
    assert settings.actor


def test_everything_set_is_taken():
    settings = Settings.from_environment(
        {
            "BACKOFFICE_HOME": "/srv/fund",
            "BACKOFFICE_DATABASE_URL": "postgresql://fund:Geheim@db.example:5432/fund",
            "BACKOFFICE_MASTER_KEY_FILE": "/run/credentials/master",
            "BACKOFFICE_ACTOR": "an.peeters",
            "BACKOFFICE_KAFKA_BROKERS": "kafka-1:9092, kafka-2:9092,[::1]:9092",
            "BACKOFFICE_SCHEMA_REGISTRY_URL": "https://registry:8081",
            "OTHER": "untouched",
        }
    )
    assert not settings.embedded
    assert settings.home == Path("/srv/fund")
    assert settings.actor == "an.peeters"
    assert settings.master_key_file == Path("/run/credentials/master")
    assert settings.kafka_brokers == ("kafka-1:9092", "kafka-2:9092", "[::1]:9092")
    assert "Geheim" not in f"{settings} {settings!r}"


def test_all_problems_are_named_at_once_and_no_value_is_repeated():
    with pytest.raises(Unreadable) as refusal:
        Settings.from_environment(
            {
                "BACKOFFICE_DATABSE_URL": "postgresql://x:Geheim@y/z",
                "BACKOFFICE_DATABASE_URL": "mysql://x:Geheim@y/z",
                "BACKOFFICE_ACTOR": "An Peeters (Geheim)",
                "BACKOFFICE_KAFKA_BROKERS": "Geheim",
                "BACKOFFICE_SCHEMA_REGISTRY_URL": "Geheim",
                "BACKOFFICE_HOME": "/etc/passwd",
                "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
            }
        )
    assert str(refusal.value) == (
        "Set the environment right and try again: "
        "BACKOFFICE_DATABSE_URL is not known (a typing error?); "
        "BACKOFFICE_HOME must be a folder; "
        "BACKOFFICE_DATABASE_URL must look like postgresql://user@host:5432/database; "
        "BACKOFFICE_MASTER_KEY_FILE must be set when BACKOFFICE_DATABASE_URL is; "
        "BACKOFFICE_ACTOR must be 1 to 64 letters, digits and . _ @ -; "
        "BACKOFFICE_KAFKA_BROKERS must look like host:9092,host:9092; "
        "BACKOFFICE_SCHEMA_REGISTRY_URL must look like https://host:port; "
        "POSTGRES_ENABLE_DB_FUNCTIONS must not be set: with it events are missed."
    )


@cases("""
    value   refused
    y       yes
    true    yes
    1       yes
    n       no
    0       no
    off     no
""")
def test_the_switch_that_loses_events_is_refused(value, refused):
    environment = {"POSTGRES_ENABLE_DB_FUNCTIONS": str(value if not isinstance(value, bool) else "")}
    if refused:
        with pytest.raises(Unreadable, match="events are missed"):
            Settings.from_environment(environment)
    else:
        assert Settings.from_environment(environment).embedded


@cases("""
    moment                     day            # summer time is two hours ahead of UTC, winter time one
    2026-04-30T21:59:59+00:00  2026-04-30
    2026-04-30T22:00:00+00:00  2026-05-01
    2026-12-31T22:59:59+00:00  2026-12-31
    2026-12-31T23:00:00+00:00  2027-01-01
""")
def test_the_day_in_brussels_of_a_moment(moment, day):
    assert today_in_brussels(FixedClock(datetime.fromisoformat(moment))) == day


def test_the_clock_of_the_machine_is_aware_and_in_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_fixed_clock_stands_still_moves_on_and_never_back():
    clock = FixedClock(datetime(2026, 4, 30, 12, tzinfo=UTC))
    assert clock.now() == clock.now()
    clock.advance(timedelta(days=1))
    assert today_in_brussels(clock) == date(2026, 5, 1)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="has a time zone"):
        FixedClock(datetime(2026, 4, 30))  # noqa: DTZ001
