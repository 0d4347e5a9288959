"""
The three roles that the back office works in. They belong to the server, not to one database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from adapters.postgres.database import OWNER, READER, WRITER, Connection
from domain.errors import Refused

ROLES: Final = (OWNER, WRITER, READER)


class RolesMissing(Refused):
    """
    This login may not make the roles of the back office.
    """


def ensure_roles(session: Connection) -> None:
    """
    Make the roles that are missing, and let the login work as them. Raises RolesMissing with the SQL to run otherwise.

    The session is in autocommit; two databases of one server may do this at the same moment.
    """
    login, superuser, may_create = _login(session)
    there = {row[0] for row in session.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)])}
    missing = [role for role in ROLES if role not in there]
    if missing and not may_create:
        raise RolesMissing(_what_to_run(login, missing, ROLES))
    for role in missing:
        try:
            session.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(role)))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # made by another database of this server since we looked
    if not superuser:
        _let_login_be(session, login)


def close_to_public(session: Connection) -> None:
    """
    Let only the roles connect, and only the owner make schemas and temporary tables.

    These grants belong to the database's entry in the server: a copy or a restored back-up comes without them.
    """
    row = session.execute(
        "SELECT datname, pg_has_role(session_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    if row is None or not row[1]:
        return  # not ours to change; doctor says what is open
    name = sql.Identifier(row[0])
    everyone = sql.SQL(", ").join(map(sql.Identifier, ROLES))
    session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    session.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, everyone))
    session.execute(sql.SQL("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}").format(name, sql.Identifier(OWNER)))


def _login(session: Connection) -> tuple[str, bool, bool]:
    row = session.execute(
        "SELECT rolname, rolsuper, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = session_user"
    ).fetchone()
    if row is None:  # cannot be: a session has a login
        raise RolesMissing
    return row[0], row[1], row[2]


def _let_login_be(session: Connection, login: str) -> None:
    closed = [role for role in ROLES if not _one(session, "SELECT pg_has_role(session_user, %s, 'SET')", role)]
    for role in closed:
        try:
            session.execute(
                sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(
                    sql.Identifier(role), sql.Identifier(login)
                )
            )
        except psycopg.errors.InsufficientPrivilege:
            raise RolesMissing(_what_to_run(login, [], closed)) from None


def _one(session: Connection, query: str, *values: object) -> object:
    row = session.execute(query.encode(), values).fetchone()
    return row[0] if row else None


def _what_to_run(login: str, missing: Sequence[str], grant: Sequence[str]) -> str:
    statements = [f"CREATE ROLE {role} NOLOGIN NOINHERIT;" for role in missing]
    statements.append(f'GRANT {", ".join(grant)} TO "{login}" WITH INHERIT FALSE, SET TRUE;')
    return "The roles of the back office are missing and this login may not make them; an administrator must run: " + (
        " ".join(statements)
    )
