"""Columns that an entry of `tables` declares must stand in its tables: a misspelt `personal` would be asked about.

Owns that comparison. It must not look at cells.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from hrmbuild.errors import ConfigError, raise_all
from hrmbuild.pipelines.units import Unit
from hrmbuild.records.document import Table


def check_declared_columns(unit: Unit, tables: Iterable[Table]) -> None:
    """Every name under `columns`, `references` and `case` is that of a column that was read.

    Raises:
        ConfigError: `config.unknown_column`, all of them at once.
    """
    columns: dict[str, set[str]] = {}
    for table in tables:
        columns.setdefault(table.name, set()).update(column.name for column in table.columns)
    qualified = {f"{name}.{column}" for name, own in columns.items() for column in own}
    plain = {name.partition(".")[2] for name in qualified}
    raise_all([
        _unknown(name, unit, sorted(known))
        for name, known in _declared(unit, qualified, qualified | plain, columns)
        if name not in known
    ])  # fmt: skip


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
