"""Does a statement find what its kind computed? Asked while tables are compiled, and by verification and tests.

Owns running a question's SQL over exactly the shown rows and comparing. It must not make questions.
"""

from __future__ import annotations

from decimal import Decimal

from hrmbuild.pairs.context import SqlConnection
from hrmbuild.pairs.table_ask import Ask
from hrmbuild.pairs.table_view import View


def check_agreement(ask: Ask, view: View, connection: SqlConnection) -> None:
    """Run the statements of a question over its rows.

    Raises:
        AssertionError: they find something else than `ask.found` or `ask.is_clear` say: our bug, and no pair may come
            of it.
    """
    if ask.only_if:
        clear = connection.execute(f"{view.cte()} {ask.only_if}").fetchall()[0][0]
        assert (clear == 1) == ask.is_clear, f"{ask.only_if} gives {clear}"
    if ask.is_clear:
        rows = connection.execute(f"{view.cte()} {ask.sql}").fetchall()
        found = tuple(_exact(row[0], ask) for row in rows)
        assert found == tuple(_exact(value, ask) for value in ask.found), f"{ask.sql} finds {found}, not {ask.found}"


def _exact(value: object, ask: Ask) -> object:
    """A number with the question's decimals, which it must have room in."""
    return value if not isinstance(value, Decimal) else value.quantize(Decimal(1).scaleb(-ask.decimals))
