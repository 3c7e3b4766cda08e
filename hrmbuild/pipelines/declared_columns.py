"""Columns that an entry of `tables` declares must stand in its tables: a misspelt `personal` would be asked about.

Owns that comparison, and which columns are protected: those that the entry declares so and those that the gate
`protected` names. It must not look at cells.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from hrmbuild.config.project import GatesConfig, SourceConfig
from hrmbuild.errors import ConfigError, raise_all
from hrmbuild.gates.protected import is_allowed, protected_names
from hrmbuild.pairs.table_columns import DECLARED_ROLES
from hrmbuild.pipelines.units import Unit
from hrmbuild.records.document import Table


def check_declared_columns(unit: Unit, tables: Iterable[Table]) -> None:
    """Every name under `columns`, `references` and `case` is that of a column that was read.

    Raises:
        ConfigError: `config.unknown_column`, `config.column_role`, all of them at once.
    """
    columns: dict[str, set[str]] = {}
    for table in tables:
        columns.setdefault(table.name, set()).update(column.name for column in table.columns)
    qualified = {f"{name}.{column}" for name, own in columns.items() for column in own}
    plain = {name.partition(".")[2] for name in qualified}
    raise_all([
        *(_unknown(name, unit, sorted(known))
          for name, known in _declared(unit, qualified, qualified | plain, columns) if name not in known),
        *(_no_role(name, role, unit)
          for name, role in sorted(unit.settings.columns.items()) if role.partition(":")[0] not in DECLARED_ROLES),
    ])  # fmt: skip


def without_protected(settings: SourceConfig, tables: Iterable[Table], gates: GatesConfig) -> SourceConfig:
    """The settings under which no question of a table is by a column that the gate would refuse."""
    found = {
        f"{table.name}.{name}": "protected"
        for table in tables
        for name in protected_names((column.name for column in table.columns), gates)
    }
    return settings.model_copy(update={"columns": {**settings.columns, **found}}) if found else settings


def check_protected_facts(unit: Unit, gates: GatesConfig) -> None:
    """No row becomes a case by a protected column, unless somebody allowed it.

    Raises:
        ConfigError: `config.protected_fact`.
    """
    if unit.settings.case is None:
        return
    columns = sorted(set(unit.settings.case.facts.values()))
    own = {name.rpartition(".")[2] for name, role in unit.settings.columns.items() if role == "protected"}
    refused = {*protected_names(columns, gates), *(name for name in columns if name in own)}
    named = sorted(name for name in refused if not is_allowed(name, gates))
    if named:
        raise ConfigError("config.protected_fact", f"`case` decides by {', '.join(named)}, which is protected",
                          where=unit.declared_by, why="nobody is to be judged by it, or by what stands in for it",
                          fix="take it out of `case`, or allow it in gates.protected (basis, approver)")  # fmt: skip


def _declared(
    unit: Unit, qualified: set[str], every: set[str], tables: dict[str, set[str]]
) -> Iterator[tuple[str, set[str]]]:
    """Each declared name with the names that it may be; references name their tables."""
    yield from ((name, every) for name in sorted(unit.settings.columns))
    case = unit.settings.case
    if case is not None:
        # One table must have them all, or no row would ever be a case.
        own = [names for table, names in tables.items() if case.table in (None, table)]
        best = max(own, key=lambda names: len(names & set(case.facts.values())), default=set())
        yield from ((name, best) for name in sorted(set(case.facts.values())))
    for name, target in sorted(unit.settings.references.items()):
        yield from ((name, qualified), (target, qualified))


def _unknown(name: str, unit: Unit, known: list[str]) -> ConfigError:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return ConfigError(
        "config.unknown_column",
        f"no table of {unit.settings.path} has the column {name!r}",
        where=unit.declared_by,
        why="what is declared for it (personal, key, label …) would be lost without a word",
        fix=f"did you mean {nearest[0]!r}?" if nearest else "correct or remove it",
    )


def _no_role(name: str, role: str, unit: Unit) -> ConfigError:
    nearest = difflib.get_close_matches(role, DECLARED_ROLES, n=1, cutoff=0.5)
    return ConfigError(
        "config.column_role",
        f"the column {name!r} is declared as {role!r}",
        where=unit.declared_by,
        why=f"a column is one of {', '.join(DECLARED_ROLES)}; a unit follows `number:`",
        fix=f"did you mean {nearest[0]!r}?" if nearest else "correct or remove it",
    )
