"""Streams through the tokenizer: in order, bounded, the same ids from threads and processes, and no process left."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from functools import cache

import numpy as np
import pytest

from hrmbuild.errors import InputError
from hrmbuild.tokens import encode_stream as streams
from hrmbuild.tokens.encode import encode_batch
from hrmbuild.tokens.encode_stream import BATCH_PAIRS, count_stream, encode_stream
from hrmbuild.tokens.encode_worker import EncodeWorker
from hrmbuild.tokens.tokenizer import TextTokenizer, train_tokenizer

Text = tuple[str, str, str]
CONDITIONS = ("direct", "cot", "synth+cot")


@cache
def trained() -> TextTokenizer:
    return TextTokenizer(train_tokenizer([text for pair in texts(300) for text in pair[1:]], vocab_size=400))


def texts(n: int) -> list[Text]:
    return [(CONDITIONS[i % 3], f"Rule {i}: above {i * 37} EUR? Größe \u2028 {i}", f"approved {i}.") for i in range(n)]


def same(text: Text) -> Text:
    return text


@pytest.fixture(params=[1, 2])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """One core (threads of the library), or two with a process for each after one batch."""
    monkeypatch.setattr(streams, "PAIRS_BEFORE_PROCESSES", BATCH_PAIRS)
    monkeypatch.setattr(streams, "available_cores", lambda: request.param)
    return request.param


def test_every_pair_comes_once_in_order_with_the_ids_of_its_own(cores: int) -> None:
    given = texts(5 * BATCH_PAIRS + 7)
    found = list(encode_stream(trained(), iter(given), texts=same))
    assert [text for rows, _ in found for text in rows] == given
    whole = encode_batch(trained(), given)
    assert np.array_equal(np.concatenate([batch.token_ids for _, batch in found]), whole.token_ids)
    assert np.array_equal(np.concatenate([batch.lengths for _, batch in found]), whole.lengths)


def test_rows_are_read_no_further_ahead_than_a_few_batches(cores: int) -> None:
    read = seen = 0

    def counted() -> Iterator[Text]:
        nonlocal read
        for text in texts(16 * BATCH_PAIRS):
            read += 1
            yield text

    for rows, _ in encode_stream(trained(), counted(), texts=same):
        seen += len(rows)
        assert read <= seen + 6 * BATCH_PAIRS
    assert seen == 16 * BATCH_PAIRS


def test_a_fault_in_a_late_batch_reaches_the_caller(cores: int) -> None:
    faulty: list[Text] = [*texts(4 * BATCH_PAIRS), ("direct", "Case 2", "")]
    with pytest.raises(ValueError, match="at least one content token"):
        list(encode_stream(trained(), faulty, texts=same))


def test_a_short_stream_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(streams, "EncodeWorker")
    assert sum(len(rows) for rows, _ in encode_stream(trained(), texts(3000), texts=same)) == 3000


def test_no_process_outlives_a_stream_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAIRS_BEFORE_PROCESSES", 1)
    monkeypatch.setattr(streams, "available_cores", lambda: 2)
    started: list[EncodeWorker] = []

    def recorded(data: bytes, *, threads: int) -> EncodeWorker:
        started.append(EncodeWorker(data, threads=threads))
        return started[-1]

    monkeypatch.setattr(streams, "EncodeWorker", recorded)
    stream = encode_stream(trained(), texts(3 * BATCH_PAIRS), texts=same)
    assert isinstance(stream, Generator)
    assert len(next(stream)[0]) == 1 and len(next(stream)[0]) == BATCH_PAIRS
    stream.close()
    assert len(started) == 2 and [alive(worker.process_id) for worker in started] == [False, False]


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_was_killed_is_an_error_with_the_way_out() -> None:
    worker = EncodeWorker(trained().data, threads=1)
    try:
        assert worker.encode(texts(2)).lengths.shape == (2, 2)
        os.kill(worker.process_id, signal.SIGKILL)
        with pytest.raises(InputError) as caught:
            worker.encode(texts(50_000))
    finally:
        worker.close()
    assert (caught.value.code, caught.value.exit_status) == ("tokens.worker_ended", 3)


def test_counting_gives_the_content_tokens_of_both_texts() -> None:
    given = texts(BATCH_PAIRS + 3)
    expected = [(len(trained().encode(i)), len(trained().encode(r))) for _, i, r in given]
    assert list(count_stream(trained(), given, texts=lambda text: text[1:])) == list(zip(given, expected, strict=True))
