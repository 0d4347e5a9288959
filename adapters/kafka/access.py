"""
How one is let in: TLS and login for the brokers and for the schema registry. Settings name files; a secret is read from
its file each time a connection is made, so that a new password or certificate counts without a restart.

Nothing here is shown: no `repr`, message or log holds what stands in a file. Why: docs/decisions/0024-kafka-access.md.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from domain.errors import Unreadable

if TYPE_CHECKING:
    import ssl

PROTOCOL: Final = "BACKOFFICE_KAFKA_SECURITY_PROTOCOL"
CA: Final = "BACKOFFICE_KAFKA_CA_FILE"
CERTIFICATE: Final = "BACKOFFICE_KAFKA_CERTIFICATE_FILE"
KEY: Final = "BACKOFFICE_KAFKA_KEY_FILE"
MECHANISM: Final = "BACKOFFICE_KAFKA_SASL_MECHANISM"
USER: Final = "BACKOFFICE_KAFKA_USERNAME"
PASSWORD: Final = "BACKOFFICE_KAFKA_PASSWORD_FILE"  # noqa: S105  # a name
REGISTRY_CA: Final = "BACKOFFICE_SCHEMA_REGISTRY_CA_FILE"
REGISTRY_USER: Final = "BACKOFFICE_SCHEMA_REGISTRY_USERNAME"
REGISTRY_PASSWORD: Final = "BACKOFFICE_SCHEMA_REGISTRY_PASSWORD_FILE"  # noqa: S105  # a name

NAMES: Final = frozenset(
    {PROTOCOL, CA, CERTIFICATE, KEY, MECHANISM, USER, PASSWORD, REGISTRY_CA, REGISTRY_USER, REGISTRY_PASSWORD}
)
PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT")
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
#: What kafka-python sends as it stands, where SCRAM wants it written otherwise; and what ends a text in PLAIN.
_NOT_IN_A_USER_NAME: Final = re.compile(r"[,=\x00-\x1f\x7f]")
_OTHER_HOST: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_FILE_BYTES_MAX: Final = 1024 * 1024
_PASSWORD_BYTES_MAX: Final = 1024


class AccessFileWrong(Unreadable):
    """
    A file with a certificate, a key or a password cannot be used; nothing was sent. Correct the file that is named.
    """


class BrokerAccess(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the brokers ask for; without anything, neither TLS nor a login.
    """

    protocol: str = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: str = ""
    username: str = ""
    password_file: Path | None = None

    @property
    def encrypted(self) -> bool:
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def logs_in(self) -> bool:
        return self.protocol in {"SASL_SSL", "SASL_PLAINTEXT"}

    def read(self) -> Security:
        """
        Read the files. Raises AccessFileWrong.
        """
        context = None
        if self.encrypted:
            context = tls_context(self.ca_file, variable=CA)
            if self.certificate_file and self.key_file:
                _add_our_certificate(context, self.certificate_file, self.key_file)
        password = ""
        if self.logs_in and self.password_file:
            password = password_in(self.password_file, variable=PASSWORD)
        return Security(access=self, context=context, password=password)


class RegistryAccess(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the schema registry asks for; without anything, the system's authorities and no login.
    """

    ca_file: Path | None = None
    username: str = ""
    password_file: Path | None = None


class Hidden(str):
    """
    A text that is not shown in what is made of it: kafka-python writes its whole configuration into a log.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'(hidden)'"


@dataclass(frozen=True)
class Security:
    """
    What was read for one connection.
    """

    access: BrokerAccess
    context: ssl.SSLContext | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def settings(self) -> dict[str, Any]:
        """
        Return the settings of a kafka-python client.
        """
        found: dict[str, Any] = {"security_protocol": self.access.protocol}
        if self.context is not None:
            found["ssl_context"] = self.context
        if self.access.logs_in:
            found["sasl_mechanism"] = self.access.mechanism
            found["sasl_plain_username"] = self.access.username
            found["sasl_plain_password"] = Hidden(self.password)
        return found


@dataclass(frozen=True)
class Brokers:
    """
    Where the brokers are (host:port, several by comma), and how one is let in.
    """

    addresses: str
    access: BrokerAccess = field(default_factory=BrokerAccess)

    def __str__(self) -> str:
        return self.addresses


#: A text is brokers that ask for nothing.
Bootstrap = str | Brokers


def access_to(bootstrap: Bootstrap) -> BrokerAccess:
    return bootstrap.access if isinstance(bootstrap, Brokers) else BrokerAccess()


# ---- what the environment says --------------------------------------------------------------------------------------


def broker_access(given: Mapping[str, str]) -> BrokerAccess:
    """
    Return what the settings say, which `problems` found right.
    """
    return BrokerAccess(
        protocol=given.get(PROTOCOL, "PLAINTEXT"),
        ca_file=_path(given, CA),
        certificate_file=_path(given, CERTIFICATE),
        key_file=_path(given, KEY),
        mechanism=given.get(MECHANISM, ""),
        username=given.get(USER, ""),
        password_file=_path(given, PASSWORD),
    )


def registry_access(given: Mapping[str, str]) -> RegistryAccess:
    return RegistryAccess(
        ca_file=_path(given, REGISTRY_CA),
        username=given.get(REGISTRY_USER, ""),
        password_file=_path(given, REGISTRY_PASSWORD),
    )


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]).absolute() if name in given else None


def problems(given: Mapping[str, str], *, hosts: list[str]) -> list[str]:
    """
    Return what is wrong with the settings of access, without any value; no file is looked at. `hosts` are the brokers'.
    """
    protocol = given.get(PROTOCOL, "PLAINTEXT")
    if protocol not in PROTOCOLS:
        return [f"{PROTOCOL} must be PLAINTEXT, SSL or SASL_SSL"]
    found = []
    if protocol == "SASL_PLAINTEXT" and not all(is_this_machine(host) for host in hosts):
        found.append(f"{PROTOCOL} must be SASL_SSL for a broker on another machine: a login is never sent unencrypted")
    tls, login = {CA, CERTIFICATE, KEY} & given.keys(), {MECHANISM, USER, PASSWORD}
    if tls and protocol not in {"SSL", "SASL_SSL"}:
        found.append(f"{PROTOCOL} must be SSL or SASL_SSL when {_and(tls)} {_is(tls)} set")
    if (CERTIFICATE in given) != (KEY in given):
        found.append(f"{CERTIFICATE} and {KEY} must be set together")
    if protocol in {"SASL_SSL", "SASL_PLAINTEXT"}:
        if missing := login - given.keys():
            found.append(f"{_and(missing)} must be set when {PROTOCOL} is {protocol}")
    elif some := login & given.keys():
        found.append(f"{PROTOCOL} must be SASL_SSL when {_and(some)} {_is(some)} set")
    if MECHANISM in given and given[MECHANISM] not in MECHANISMS:
        found.append(f"{MECHANISM} must be {', '.join(MECHANISMS[:-1])} or {MECHANISMS[-1]}")
    if _NOT_IN_A_USER_NAME.search(given.get(USER, "")):
        found.append(f"{USER} must hold no comma, equals sign or control character")
    if (REGISTRY_USER in given) != (REGISTRY_PASSWORD in given):
        found.append(f"{REGISTRY_USER} and {REGISTRY_PASSWORD} must be set together")
    if ":" in given.get(REGISTRY_USER, ""):
        found.append(f"{REGISTRY_USER} must hold no colon")
    return found


def _and(names: set[str]) -> str:
    return " and ".join(sorted(names))


def _is(names: set[str]) -> str:
    return "is" if len(names) == 1 else "are"


def is_this_machine(host: str) -> bool:
    """
    Is this a name or an address that never leaves the machine?
    """
    host = host.strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# ---- files ----------------------------------------------------------------------------------------------------------


def password_in(path: Path, *, variable: str) -> str:
    """
    Return the one line that the file holds. Raises AccessFileWrong, also when others than its owner may read it.
    """
    text = _secret(path, variable=variable)
    try:
        password = text.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise _wrong(variable, "it is not UTF-8", path) from None
    if not password or len(text) > _PASSWORD_BYTES_MAX or re.search(r"[\x00-\x1f\x7f]", password):
        raise _wrong(variable, "it must hold the password on one line and nothing else", path)
    return password


def tls_context(ca_file: Path | None, *, variable: str) -> ssl.SSLContext:
    """
    Return what checks a server's certificate and host name: against the authorities of the file, else the system's.

    Raises AccessFileWrong.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which asks for a certificate and compares the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
        return context
    text = _content(ca_file, variable=variable)
    try:
        context.load_verify_locations(cadata=text.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise _wrong(variable, "it must hold the certificate of an authority in PEM", ca_file) from None
    return context


def tls_sentence(error: ssl.SSLError, *, who: str, ca: str) -> str:
    """
    Say what is wrong with the server's certificate, or nothing when it is something else.
    """
    import ssl

    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    if error.verify_code in _OTHER_HOST:
        return f"The certificate of the {who} is for another host name; use a name that stands in the certificate."
    return f"The certificate of the {who} cannot be trusted ({error.verify_message}); look at it and at {ca}."


def _add_our_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    import ssl

    _content(certificate, variable=CERTIFICATE)
    _secret(key, variable=KEY)
    try:
        # Without an answer to a key's password, OpenSSL would ask whoever sits at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _wrong(KEY, "it is not the key of the certificate", key) from None
        problem = f"it and {CERTIFICATE} must hold a key without a password and its certificate in PEM"
        raise _wrong(KEY, problem, key) from None
    except ValueError:
        raise _wrong(KEY, "it must hold a key without a password", key) from None


def _secret(path: Path, *, variable: str) -> bytes:
    try:
        others = path.stat().st_mode & 0o077
    except OSError:
        others = 0  # reading it says why
    if others:
        raise _wrong(variable, "only its owner may read it (chmod 600)", path)
    return _content(path, variable=variable)


def _content(path: Path, *, variable: str) -> bytes:
    try:
        with open(path, "rb", opener=_never_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _wrong(variable, "it is not a file", path)
            return file.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        raise _wrong(variable, "there is no such file", path) from None
    except OSError as error:
        raise _wrong(variable, f"it cannot be read ({error.strerror})", path) from None


def _never_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would be waited for


def _wrong(variable: str, problem: str, path: Path) -> AccessFileWrong:
    return AccessFileWrong(f"The file of {variable} cannot be used: {problem}.", file=path)
