"""
A schema registry that speaks Confluent's API: register our schemas under their pinned ids, and ask what it has.

Our messages never wait for a registry: ids stand in `schemas/ids.yaml`. It is there for subscribers, so what it says
must be what we pinned. A Confluent registry takes our ids in IMPORT mode; Apicurio accepts that mode and gives its own
next id all the same (seen with 3.3.3), which is ours when it is empty and schemas come in the order of their ids.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from adapters.kafka.access import (
    REGISTRY_CA,
    REGISTRY_PASSWORD,
    REGISTRY_USER,
    RegistryAccess,
    is_this_machine,
    password_in,
    tls_context,
    tls_sentence,
)
from domain.errors import Refused, Unavailable
from formats.contract import Schema, canonical

COMPATIBILITY: Final = "FULL_TRANSITIVE"
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_TIMEOUT_S: Final = 10.0
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class RegistryUnavailable(Unavailable):
    """
    The schema registry does not answer; what was registered before stays. Check its address, and try again.
    """


class RegistryAccessRefused(RegistryUnavailable):
    """
    The schema registry does not let us in, or is not who it must be; nothing was registered. Correct the settings of
    its access.
    """


class RegistryRefused(Refused):
    """
    The schema registry refuses; nothing more was registered. Its own reason stands in its log.
    """


class RegistryGaveAnotherId(Refused):
    """
    The registry gives this schema another id than the one that stands in our messages; nothing more was registered. Use
    a registry that takes ids (IMPORT mode), or an empty one for us alone.
    """


class Registered(NamedTuple):
    """
    What became of one schema: `new` when the registry did not have it before.
    """

    schema: Schema
    new: bool


class Difference(NamedTuple):
    """
    What the registry says otherwise than we do, in one sentence.
    """

    schema: Schema
    problem: str


class SchemaRegistry:
    """
    One registry by the URL that Confluent's clients take, and what it asks for.

    Raises AccessFileWrong for a file that cannot be used, and RegistryAccessRefused rather than send a password that
    others could read.
    """

    def __init__(self, url: str, access: RegistryAccess | None = None, *, timeout_s: float = _TIMEOUT_S) -> None:
        access = access or RegistryAccess()
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryUnavailable(
                "The address of a schema registry begins with http:// or https:// and has a host."
            )
        if "@" in parts.netloc:
            raise RegistryAccessRefused(
                "The address of a schema registry must hold no password, which others would see in the list of "
                f"processes; use {REGISTRY_USER} and {REGISTRY_PASSWORD}."
            )
        self._host, self._port = parts.hostname, parts.port
        self._tls = tls_context(access.ca_file, variable=REGISTRY_CA) if parts.scheme == "https" else None
        self._path = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": _CONTENT_TYPE, "Accept": _CONTENT_TYPE}
        if access.username and access.password_file:
            if self._tls is None and not is_this_machine(self._host):
                raise RegistryAccessRefused(
                    "A login is never sent unencrypted; give the https:// address of the schema registry.",
                    host=self._host,
                )
            password = password_in(access.password_file, variable=REGISTRY_PASSWORD)
            pair = f"{access.username}:{password}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()

    def register(self, schemas: Iterable[Schema]) -> list[Registered]:
        """
        Register released schemas in the order of their ids, each under its record's name, FULL_TRANSITIVE from then on.

        Again changes nothing. Raises RegistryUnavailable, RegistryRefused and RegistryGaveAnotherId.
        """
        done = []
        for schema in sorted((each for each in schemas if each.id), key=lambda each: each.id):
            known = self.id_of(schema)
            given = known if known is not None else self._register(schema)
            if given != schema.id:
                raise RegistryGaveAnotherId(schema=schema.name, ours=schema.id, theirs=given)
            self._must("PUT", f"/config/{_subject(schema)}", {"compatibility": COMPATIBILITY})
            done.append(Registered(schema, new=known is None))
        return done

    def differences(self, schemas: Iterable[Schema]) -> list[Difference]:
        """
        Return what the registry says otherwise than our pinned ids; empty when a subscriber reads what we write.
        """
        found = []
        for schema in sorted((each for each in schemas if each.id), key=lambda each: each.id):
            text = self.schema_by_id(schema.id)
            if text is None:
                found.append(Difference(schema, f"id {schema.id} is not registered"))
            elif canonical(json.loads(text)) != schema.text:
                found.append(Difference(schema, f"id {schema.id} stands for another schema"))
            elif (level := self.compatibility_of(schema.record)) != COMPATIBILITY:
                found.append(Difference(schema, f"its compatibility is {level}, not {COMPATIBILITY}"))
        return found

    def id_of(self, schema: Schema) -> int | None:
        """
        Return the id under which the registry has exactly this schema for its record, or None.
        """
        status, answer = self._ask("POST", f"/subjects/{_subject(schema)}", {"schema": schema.text})
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        return int(_answered(status, answer)["id"])

    def schema_by_id(self, number: int) -> str | None:
        """
        Return the schema's text, or None when the registry has none of that id.
        """
        status, answer = self._ask("GET", f"/schemas/ids/{number}")
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        return str(_answered(status, answer)["schema"])

    def compatibility_of(self, record: str) -> str:
        answer = self._must("GET", f"/config/{quote(record, safe='')}")
        return str(answer.get("compatibilityLevel") or answer.get("compatibility"))

    def _register(self, schema: Schema) -> int:
        subject = _subject(schema)
        # IMPORT is what lets an id be asked for; a registry without that mode refuses, and then gives its own id.
        self._ask("PUT", f"/mode/{subject}", {"mode": "IMPORT"})
        try:
            body = {"schema": schema.text, "schemaType": "AVRO", "id": schema.id, "version": schema.version}
            status, answer = self._ask("POST", f"/subjects/{subject}/versions", body)
            return int(_answered(status, answer)["id"])
        finally:
            self._ask("PUT", f"/mode/{subject}", {"mode": "READWRITE"})

    def _must(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        return _answered(*self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, Any]:
        connection = self._connection()
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, self._path + path, body=content, headers=self._headers)
            response = connection.getresponse()
            raw = response.read(_ANSWER_BYTES_MAX)
            return response.status, json.loads(raw) if raw else {}
        except ssl.SSLError as error:
            sentence = tls_sentence(error, who="schema registry", ca=REGISTRY_CA)
            raise RegistryAccessRefused(sentence or None, host=self._host, reason=error.reason) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RegistryUnavailable(host=self._host, reason=type(error).__name__) from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)


def _subject(schema: Schema) -> str:
    """
    Return the record's name as a path: the same record has the same versions on every topic (RecordNameStrategy).
    """
    return quote(schema.record, safe="")


def _answered(status: int, answer: Any) -> Any:
    if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        raise RegistryAccessRefused(
            f"The schema registry does not take this login, or does not let it do this; correct {REGISTRY_USER} or "
            f"what the file of {REGISTRY_PASSWORD} holds.",
            status=int(status),
        )
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RegistryUnavailable(status=status)
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise RegistryRefused(status=status, error=answer.get("error_code") if isinstance(answer, dict) else None)
    return answer
