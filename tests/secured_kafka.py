"""
A real broker that lets nobody in without TLS and a login, certificates made for it, and a registry behind TLS.
"""

from __future__ import annotations

import base64
import http.client
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.admin import UserScramCredentialUpsertion

from adapters.kafka import clients, jvm
from adapters.kafka.access import BrokerAccess
from adapters.kafka.broker import PATIENT, Kafka

USER = "backoffice-relay"
#: Looked for in everything that is written or said.
SECRET = "Wachtwoord-Canarisse-1"
SCRAM = "SCRAM-SHA-512"


class Pair(NamedTuple):
    """
    A key and its certificate.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class Authority:
    """
    Signs certificates, and keeps all of it as files in a folder.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._own = self._signed(name, None, [], authority=True)
        self.file = self._write("ca", self._own, with_key=False)

    def server(self, name: str, *hosts: str, days: int = 1) -> Path:
        """
        Return a file with a key and a certificate for these hosts; with `days` below 0 it has expired.
        """
        alternatives = [x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
        return self._write(name, self._signed(name, self._own, alternatives, days=days), with_key=True)

    def client(self, name: str, *, password: bytes = b"") -> tuple[Path, Path]:
        """
        Return a file with a client's certificate and one with its key.
        """
        pair = self._signed(name, self._own, [])
        key = self.folder / f"{self.name}-{name}.key"
        key.touch(mode=0o600)
        key.write_bytes(_private(pair, password))
        return self._write(name, pair, with_key=False), key

    def _signed(self, name: str, by: Pair | None, hosts: list[Any], *, authority: bool = False, days: int = 1) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {name}")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return Pair(key, builder.sign(by.key if by else key, hashes.SHA256()))

    def _write(self, name: str, pair: Pair, *, with_key: bool) -> Path:
        path = self.folder / f"{self.name}-{name}.pem"
        text = pair.certificate.public_bytes(serialization.Encoding.PEM)
        path.write_bytes((_private(pair) if with_key else b"") + text)
        return path


def _private(pair: Pair, password: bytes = b"") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


class SecuredKafka(Kafka):
    """
    Beside its usual listener, which is the tests' own way in, it has one with TLS and a login, and one with TLS and a
    client's certificate. Its certificate is for `localhost` only.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, pace=PATIENT, **settings)
        self.authority = Authority(folder / "certificates", "fund")
        self._pem = self.authority.server("broker", "localhost")
        self.login_port, self.certificate_port = jvm.free_ports(2)
        self.password_file = secret_file(folder / "password", SECRET + "\n")

    @property
    def secured(self) -> str:
        return f"localhost:{self.login_port}"

    def access(self, **changes: Any) -> BrokerAccess:
        usual = {
            "protocol": "SASL_SSL", "ca_file": self.authority.file, "mechanism": SCRAM, "username": USER,
            "password_file": self.password_file,
        }  # fmt: skip
        return BrokerAccess(**{**usual, **changes})

    def environment(self) -> dict[str, str]:
        """
        What a fund would set for this cluster.
        """
        return {
            "BACKOFFICE_KAFKA_BROKERS": self.secured,
            "BACKOFFICE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "BACKOFFICE_KAFKA_CA_FILE": str(self.authority.file),
            "BACKOFFICE_KAFKA_SASL_MECHANISM": SCRAM,
            "BACKOFFICE_KAFKA_USERNAME": USER,
            "BACKOFFICE_KAFKA_PASSWORD_FILE": str(self.password_file),
        }

    def set_password(self, password: str) -> None:
        """
        Give the user a password on the broker, by the way in that needs none.
        """
        with closing(clients.admin(self.address)) as admin:
            told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, SCRAM, password)])
        assert told == {USER: None}

    def _properties(self, node_id: int) -> str:
        found = dict(line.split("=", 1) for line in super()._properties(node_id).splitlines())
        more = f",LOGIN://localhost:{self.login_port},CERTIFICATE://localhost:{self.certificate_port}"
        found["listeners"] += more
        found["advertised.listeners"] += more
        found["listener.security.protocol.map"] += ",LOGIN:SASL_SSL,CERTIFICATE:SSL"
        modules = "org.apache.kafka.common.security"
        for listener in ("login", "certificate"):
            prefix = f"listener.name.{listener}"
            found[f"{prefix}.ssl.keystore.type"] = found[f"{prefix}.ssl.truststore.type"] = "PEM"
            found[f"{prefix}.ssl.keystore.location"] = str(self._pem)
            found[f"{prefix}.ssl.truststore.location"] = str(self.authority.file)
        found["listener.name.certificate.ssl.client.auth"] = "required"
        found["listener.name.login.sasl.enabled.mechanisms"] = f"{SCRAM},PLAIN"
        found["listener.name.login.scram-sha-512.sasl.jaas.config"] = f"{modules}.scram.ScramLoginModule required;"
        found["listener.name.login.plain.sasl.jaas.config"] = (
            f'{modules}.plain.PlainLoginModule required user_{USER}="{SECRET}";'
        )
        return "".join(f"{name}={value}\n" for name, value in found.items())


@contextmanager
def behind_tls(url: str, pem: Path, *, user: str, password: str) -> Iterator[int]:
    """
    Put TLS and a login before a registry, as a fund's gateway does; yields the port on localhost.
    """
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    behind = urlsplit(url)

    class Gate(http.server.BaseHTTPRequestHandler):
        def _passed_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != wanted:
                self._answer(401, b"{}")
                return
            connection = http.client.HTTPConnection(behind.hostname or "", behind.port, timeout=10)
            with closing(connection):
                headers = {"Content-Type": self.headers["Content-Type"], "Accept": self.headers["Accept"]}
                connection.request(self.command, self.path, body=body or None, headers=headers)
                response = connection.getresponse()
                self._answer(response.status, response.read())

        do_GET = do_POST = do_PUT = _passed_on

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """
            Nothing.
            """

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """
            A client that does not trust us goes away in the middle of the handshake.
            """

    server = Quiet(("127.0.0.1", 0), Gate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
