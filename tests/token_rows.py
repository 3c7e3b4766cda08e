"""Pairs written by hand for the tests of tokens and training; no corpus is needed."""

from __future__ import annotations

from hrmbuild.fingerprint import draw_below, sha256_hex
from hrmbuild.records.pair import pair_id
from hrmbuild.tokens.files import TokenRow
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer

SOURCES = [sha256_hex(b"rules/travel.yaml"), sha256_hex(b"memos/march.md")]
CONTENT_ROOT = sha256_hex(b"content root of the rows written by hand")


def make_rows(n: int, *, purpose: str = "train") -> list[TokenRow]:
    """Comparisons of two numbers, ordered by id as a corpus gives them."""
    rows: dict[str, TokenRow] = {}
    number = 0
    while len(rows) < n:
        limit, fare = (draw_below(90, purpose, salt, str(number)) + 10 for salt in (1, 2))
        extra = " The client pays." * draw_below(3, purpose, 3, str(number))
        instruction = f"Rule 1: above {limit} EUR the board decides.{extra}\nCase {number}: fare {fare} EUR. Decision?"
        response = f"board. {fare} is above {limit}." if fare > limit else "approved."
        number += 1
        identity = pair_id("direct", instruction, response)
        rows[identity] = TokenRow(identity, SOURCES[number % 2], "direct", instruction, response)
    return [rows[identity] for identity in sorted(rows)]


def make_tokenizer(rows: list[TokenRow]) -> TextTokenizer:
    """Trained on these rows."""
    return TextTokenizer(train_tokenizer((text for row in rows for text in row[3:]), vocab_size=512))
