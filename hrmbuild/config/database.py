"""Settings of tables that are copied from a PostgreSQL server; no password ever stands in them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, StringConstraints, model_validator

from hrmbuild.config.base import Settings

_PARAMETERS = frozenset({
    "application_name", "channel_binding", "dbname", "gssencmode", "host", "hostaddr", "krbsrvname", "port", "service",
    "sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "user",
})  # fmt: skip
"""What a URL may say of a connection: nothing that is secret, nothing that changes how the server reads a query."""


class DatabaseConfig(Settings):
    """A PostgreSQL database and its tables. `ingest` copies them into the folder that `path` names; the copy is what is
    read, hashed and checked. The password comes from `PGPASSWORD`, `~/.pgpass` or a service file."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """`postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full`, or `postgresql:///?service=NAME`; no password."""
    tables: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...] = Field(min_length=1)
    """`claims` (of the schema `public`), `sales.orders`, or `sales.*` for all tables of a schema."""
    timeout_s: int = Field(default=600, ge=1, le=86_400)
    """Seconds that one statement may take."""

    @model_validator(mode="after")
    def _names_no_secret(self) -> DatabaseConfig:
        # Of the whole block and not of the field: what is wrong with a field is shown with its value.
        problem = _problem(self.url)
        if problem:
            raise ValueError(problem)
        return self


def _problem(url: str) -> str | None:
    """Why a URL cannot be taken, without a word of it."""
    try:
        parts = urlsplit(url)
        password, _ = parts.password, parts.port
    except ValueError:
        return "`url` is no URL as postgresql://USER@HOST:PORT/DATABASE"
    if parts.scheme not in ("postgresql", "postgres"):
        return "`url` must begin with postgresql://"
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if password is not None or names & {"password", "sslpassword", "passfile"}:
        return "`url` must not hold a password: settings are hashed and shown. Set PGPASSWORD, ~/.pgpass or a service"
    unknown = sorted(names - _PARAMETERS)
    return f"`url` has parameters that are not taken: {', '.join(unknown)}" if unknown or parts.fragment else None
