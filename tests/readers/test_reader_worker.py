"""The process that reads dangerous files: the same records as without it, and nothing that a file does takes more than
that file.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from office_files import docx, p

from hrmbuild import readers
from hrmbuild.config.limits import LimitsConfig
from hrmbuild.config.project import SourceConfig
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.readers.worker import ReaderWorker, load_texts_guarded, read_guarded

SOURCE = SourceConfig(path="*", kind="rules")


@pytest.fixture(scope="module")
def worker():
    worker = ReaderWorker()
    yield worker
    worker.close()


@pytest.fixture
def started():
    """A worker with limits of its own, closed whatever happens."""
    workers = []

    def start(limits=None):
        workers.append(ReaderWorker(limits or LimitsConfig()))
        return workers[-1]

    yield start
    for one in workers:
        one.close()


@pytest.fixture
def asked(tmp_path):
    """Arguments for reading some bytes as a format."""

    def write(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return {"path": path, "relative": name, "sha256": sha256_hex(data), "source": SOURCE,
                "format": readers.choose_format(path, data[:100], SOURCE)}  # fmt: skip

    return write


def test_the_worker_gives_what_reading_in_this_process_gives(asked):
    for name, data in (("a.docx", docx(p("A", "H1") + p("Words."))), ("a.html", b"<h1>A</h1><p>Words.<img>"),
                       ("a.eml", b"From: a\nSubject: b\n\nWords.\n"), ("a.md", b"# A\n\nWords.\n")):  # fmt: skip
        request = asked(name, data)
        assert read_guarded(**request) == readers.read(**request)
        texts = load_texts_guarded(request["path"], format=request["format"])
        assert texts == readers.load_texts(request["path"], format=request["format"])


def test_one_worker_reads_many_files_and_passes_refusals_on(asked, worker):
    for n in range(20):
        worker.read(**asked(f"{n}.html", f"<p>{n}".encode()))
    with pytest.raises(InputError) as caught:
        worker.read(**asked("a.docx", b"no zip"))
    assert (caught.value.code, caught.value.where) == ("read.broken_archive", "a.docx")
    assert worker.n_started == 1


def test_a_worker_that_dies_is_named_and_started_again(asked, started):
    worker = started()
    request = asked("a.docx", docx("".join(p(f"Words {n}.", numbered=0) for n in range(60_000))))
    small = asked("b.html", b"<p>Words.")
    worker.read(**small)
    killer = threading.Timer(0.3, os.kill, (worker.process.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(InputError) as caught:
        worker.read(**request)
    killer.join()
    assert caught.value.code == "read.worker_died" and "SIGKILL" in caught.value.what
    assert worker.read(**small).records and worker.n_started == 2


def test_a_file_that_takes_too_long_is_given_up(asked, started):
    worker = started(LimitsConfig(seconds_per_file=1.5))
    started_at_s = time.monotonic()
    with pytest.raises(InputError) as caught:
        worker.read(**asked("a.docx", docx("".join(p(f"Words {n}.", numbered=0) for n in range(150_000)))))
    assert caught.value.code == "read.too_slow" and time.monotonic() - started_at_s < 6
    assert worker.process is None


def test_a_file_that_takes_too_much_memory_is_given_up(asked, started):
    worker = started(LimitsConfig(memory_mib=400))
    with pytest.raises(InputError) as caught:
        worker.read(**asked("a.docx", docx("<w:p/>" * 6_000_000)))
    assert caught.value.code == "read.too_large"
    assert worker.read(**asked("b.html", b"<p>Words.")).records


def test_the_worker_ends_with_its_input(asked, started):
    worker = started()
    worker.read(**asked("b.html", b"<p>Words."))
    worker.process.stdin.close()
    assert worker.process.wait(timeout=10) == 0
    worker.process.stdout.close()
