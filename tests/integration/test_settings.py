"""
What the environment may say, and how it is told that it is wrong; and the clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.clock import FixedClock, SystemClock, today_in_brussels
from adapters.kafka.access import BrokerAccess
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


SECURED = {
    "BACKOFFICE_KAFKA_BROKERS": "kafka-1:9093",
    "BACKOFFICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "BACKOFFICE_KAFKA_CA_FILE": "/run/ca.pem",
    "BACKOFFICE_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "BACKOFFICE_KAFKA_USERNAME": "relay",
    "BACKOFFICE_KAFKA_PASSWORD_FILE": "/run/secrets/kafka",
    "BACKOFFICE_SCHEMA_REGISTRY_URL": "https://registry:8443",
    "BACKOFFICE_SCHEMA_REGISTRY_CA_FILE": "/run/ca.pem",
    "BACKOFFICE_SCHEMA_REGISTRY_USERNAME": "relay",
    "BACKOFFICE_SCHEMA_REGISTRY_PASSWORD_FILE": "/run/secrets/registry",
}


def test_access_to_brokers_and_registry_is_taken_and_no_file_is_looked_at_yet():
    settings = Settings.from_environment(SECURED)
    assert settings.kafka_access == BrokerAccess(
        protocol="SASL_SSL", ca_file=Path("/run/ca.pem"), mechanism="SCRAM-SHA-512", username="relay",
        password_file=Path("/run/secrets/kafka"),
    )  # fmt: skip
    assert (settings.brokers.addresses, settings.brokers.access) == ("kafka-1:9093", settings.kafka_access)
    assert settings.registry_access.password_file == Path("/run/secrets/registry")


K, R = "BACKOFFICE_KAFKA_", "BACKOFFICE_SCHEMA_REGISTRY_"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({f"{K}SECURITY_PROTOCOL": "TLS"}, f"{K}SECURITY_PROTOCOL must be PLAINTEXT, SSL or SASL_SSL"),
        (
            {f"{K}SECURITY_PROTOCOL": "SASL_PLAINTEXT", f"{K}CA_FILE": ""},
            f"{K}SECURITY_PROTOCOL must be SASL_SSL for a broker on another machine: a login is never sent unencrypted",
        ),
        # The most dangerous slip: everything is set for TLS and a login, and the word that switches them on is not.
        (
            {f"{K}SECURITY_PROTOCOL": ""},
            (
                f"{K}SECURITY_PROTOCOL must be SSL or SASL_SSL when {K}CA_FILE is set; {K}SECURITY_PROTOCOL must be "
                f"SASL_SSL when {K}PASSWORD_FILE and {K}SASL_MECHANISM and {K}USERNAME are set"
            ),
        ),
        (
            {f"{K}SASL_MECHANISM": "", f"{K}PASSWORD_FILE": ""},
            f"{K}PASSWORD_FILE and {K}SASL_MECHANISM must be set when {K}SECURITY_PROTOCOL is SASL_SSL",
        ),
        ({f"{K}SASL_MECHANISM": "GSSAPI"}, f"{K}SASL_MECHANISM must be SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"),
        ({f"{K}KEY_FILE": "/run/key"}, f"{K}CERTIFICATE_FILE and {K}KEY_FILE must be set together"),
        ({f"{K}USERNAME": "a,b"}, f"{K}USERNAME must hold no comma, equals sign or control character"),
        ({f"{K}PASSWORD": "Geheim"}, f"{K}PASSWORD is not known (a typing error?)"),
        ({f"{R}USERNAME": ""}, f"{R}USERNAME and {R}PASSWORD_FILE must be set together"),
        ({f"{R}USERNAME": "a:b"}, f"{R}USERNAME must hold no colon"),
        (
            {f"{R}URL": "https://relay:Geheim@registry"},
            f"{R}URL must hold no password; use {R}USERNAME and {R}PASSWORD_FILE",
        ),
    ],
)
def test_settings_of_access_that_do_not_go_together_are_refused(changes, problem):
    with pytest.raises(Unreadable) as refusal:
        Settings.from_environment(SECURED | changes)
    assert str(refusal.value) == f"Set the environment right and try again: {problem}."


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_login_without_tls_is_for_this_machine_only(host):
    here = {f"{K}BROKERS": f"{host}:9092", f"{K}SECURITY_PROTOCOL": "SASL_PLAINTEXT", f"{K}CA_FILE": ""}
    assert Settings.from_environment(SECURED | here).kafka_access.logs_in
    with pytest.raises(Unreadable, match="another machine"):
        Settings.from_environment(SECURED | here | {f"{K}BROKERS": f"{host}:9092,kafka-1:9092"})


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
