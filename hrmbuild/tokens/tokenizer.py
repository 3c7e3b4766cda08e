"""The byte-level BPE tokenizer: trained by freeze, read by everything that turns text into ids.

Owns training, loading and plain encoding. Text is brought to NFC, digits are split one by one (numbers of any size
share ten tokens, and their places line up), and the base alphabet is all 256 bytes, so that no text is unknown. It must
not add control tokens: frames belong to `tokens.encode`. Training gives the same bytes for the same texts in any order
and with any number of threads (tested), because merges are ranked by count, then by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.tokens.control import CONTROL_IDS, CONTROL_TOKENS

MIN_FREQUENCY = 2
"""A merge seen once would be an entry that training never sees a second time; the vocabulary may end up smaller."""


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> bytes:
    """Train on instructions and responses; the bytes of `tokenizer.json`.

    Args:
        texts: consumed once, in any order; only word counts are held in memory.
        vocab_size: most entries, control tokens and the 256 bytes included.

    Raises:
        ValueError: `vocab_size` has no room for the control tokens and the bytes.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    smallest = len(CONTROL_TOKENS) + len(alphabet)
    if vocab_size < smallest:
        raise ValueError(f"a vocabulary needs at least {smallest} entries, got {vocab_size}")
    tokenizer = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return (tokenizer.to_str(pretty=True) + "\n").encode("utf-8")


def _untrained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


class TextTokenizer:
    """Text to ids and back. The text of a document never becomes a control token, whatever it spells."""

    def __init__(self, data: bytes, *, where: str = "tokenizer.json") -> None:
        """`data`: bytes of `tokenizer.json`.

        Raises:
            InputError: `tokens.tokenizer_unreadable`, or `tokens.control_ids` where the control tokens have other ids.
        """
        self._tokenizer = _parse(data, where)
        # Without this, a document that spells `<|im_end|>` would end its own prefix.
        self._tokenizer.encode_special_tokens = True
        self.data = data
        """Bytes of `tokenizer.json`."""
        self.sha256 = sha256_hex(data)
        """Of the bytes given."""
        self.control_ids = dict(CONTROL_IDS)
        """Name to id."""

    @property
    def vocab_size(self) -> int:
        """Entries, control tokens included, before padding."""
        return self._tokenizer.get_vocab_size()

    def entries(self) -> dict[str, int]:
        """Every entry with its id: equal where equal ids mean equal tokens."""
        return self._tokenizer.get_vocab(with_added_tokens=True)

    def rewritten(self) -> str:
        """All of it, as this version of the library writes it: equal where two make the same tokens of every text."""
        return self._tokenizer.to_str()

    def encode(self, text: str) -> list[int]:
        """Content ids; no control token."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Content ids of many texts, on all cores."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of content ids; control tokens are left out, bytes that are no UTF-8 become U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)


def _parse(data: bytes, where: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # The library raises nothing more precise, whatever is broken.
        raise InputError(
            "tokens.tokenizer_unreadable",
            f"this is no tokenizer that can be read: {error}",
            where=where,
            fix="restore the file, or freeze again",
        ) from error
    wrong = [token for token, number in CONTROL_IDS.items() if tokenizer.token_to_id(token) != number]
    if wrong:
        raise InputError(
            "tokens.control_ids",
            f"the control tokens {', '.join(wrong)} do not have their fixed ids in this tokenizer",
            where=where,
            why="prompts are framed by ids 0 to 7",
            fix="take a tokenizer that hrmbuild trained",
        )
    return tokenizer


def load_tokenizer(path: Path) -> TextTokenizer:
    """Read `tokenizer.json`.

    Raises:
        InputError: the file is missing, unreadable, or has other control tokens.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "tokens.tokenizer_unreadable",
            f"cannot read the tokenizer: {error.strerror}",
            where=str(path),
            fix="restore the file, or freeze again",
        ) from error
    return TextTokenizer(data, where=str(path))
