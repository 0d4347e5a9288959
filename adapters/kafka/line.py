"""
One connection to one broker, by hand: TLS, login, a question, and nothing left behind.

kafka-python tries for ever and says of a wrong password or certificate only that nobody answers; here it is told apart.
"""

from __future__ import annotations

import logging
import socket
import ssl
from types import TracebackType
from typing import Any, Final

from kafka.errors import SaslAuthenticationFailedError, UnsupportedSaslMechanismError, for_code
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslBytesRequest, SaslHandshakeRequest

from adapters.kafka.access import CA, CERTIFICATE, MECHANISM, PASSWORD, USER, Security, tls_sentence
from domain.errors import Unavailable

CLIENT_ID: Final = "backoffice"


class BrokerUnavailable(Unavailable):
    """
    No Kafka broker answers; check the address, whether the broker runs, and whether it wants TLS and a login or neither
    (BACKOFFICE_KAFKA_SECURITY_PROTOCOL).
    """


class BrokerAccessRefused(BrokerUnavailable):
    """
    The broker does not let us in, or is not who it must be; nothing was sent. Correct the settings of its access.
    """


class Line:
    """
    A connection that is let in, for one block. Raises BrokerAccessRefused, OSError and KafkaError.
    """

    def __init__(self, address: str, security: Security, *, within_s: float) -> None:
        host, _, port = address.strip().rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._security = security
        self._within_s = within_s
        self._protocol = KafkaProtocol(client_id=CLIENT_ID)
        self._socket: socket.socket | None = None

    def __enter__(self) -> Line:
        self._socket = socket.create_connection((self._host, self._port), timeout=self._within_s)
        try:
            if self._security.context is not None:
                self._socket = self._security.context.wrap_socket(self._socket, server_hostname=self._host)
            if self._security.access.logs_in:
                self._log_in()
        except BaseException as error:
            self._socket.close()
            self._refused(error)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()
        if error is not None:
            self._refused(error)

    def ask(self, request: Any) -> Any:
        """
        Ask one question, and return the answer.
        """
        assert self._socket is not None
        self._protocol.send_request(request)
        self._socket.sendall(self._protocol.send_bytes())
        while True:
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionResetError
            for _, response in self._protocol.receive_bytes(data):
                return response

    def _log_in(self) -> None:
        access = self._security.access
        offered = self.ask(SaslHandshakeRequest[1](mechanism=access.mechanism))
        if offered.error_code:
            error = for_code(offered.error_code)
            if error is UnsupportedSaslMechanismError:
                raise BrokerAccessRefused(
                    f"The broker does not offer what {MECHANISM} says; choose one that it offers.",
                    offered=" ".join(sorted(offered.mechanisms)),
                )
            raise error
        mechanism = get_sasl_mechanism(access.mechanism)(host=self._host, **self._security.settings())
        while not mechanism.is_done():
            answer = self.ask(SaslAuthenticateRequest[1](auth_bytes=mechanism.auth_bytes()))
            if answer.error_code:
                raise for_code(answer.error_code)
            try:
                mechanism.receive(answer.auth_bytes)
            except ValueError:  # the broker does not know the password either: it is not the one that we mean
                raise SaslAuthenticationFailedError from None

    def _refused(self, error: BaseException) -> None:
        """
        Raise what the error means, when it means that we are not let in, or that this is not the broker.
        """
        sentence = refusal(error)
        if sentence:
            raise BrokerAccessRefused(sentence, address=f"{self._host}:{self._port}") from None


def refusal(error: BaseException) -> str:
    """
    Say why the broker does not let us in, or nothing when the error means something else.
    """
    if isinstance(error, SaslAuthenticationFailedError):
        return f"The broker does not take this login; correct {USER} or what the file of {PASSWORD} holds."
    if isinstance(error, ssl.SSLError):
        return tls_sentence(error, who="broker", ca=CA) or _tls_refused(error)
    return ""


def _tls_refused(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if "ALERT" in reason:
        return f"The broker ends TLS; it may ask for a certificate of ours that it knows ({CERTIFICATE})."
    return ""  # it may as well be a broker that ends at this moment


class NoSecrets(logging.Filter):
    """
    Keep a login out of the log: at its lowest level kafka-python writes every request in full, and its bytes once more.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        values = record.args if isinstance(record.args, tuple) else ()
        return not any(
            isinstance(each, bytes | bytearray | SaslAuthenticateRequest | SaslBytesRequest) for each in values
        )


def keep_secrets() -> None:
    """
    Put that filter where kafka-python writes requests; again does no harm.
    """
    for name in ("kafka.net.connection", "kafka.protocol.parser"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, NoSecrets) for each in logger.filters):
            logger.addFilter(NoSecrets())
