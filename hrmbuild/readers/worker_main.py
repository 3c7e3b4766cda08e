"""The inside of the process that reads dangerous files: limits first, then one request after the other.

Owns the limits on itself (memory, processor time, no file written, no connection, no other program) and the answers,
which are JSON. It must not keep anything from one file to the next. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from hrmbuild.errors import InputError
from hrmbuild.readers.confinement import confine
from hrmbuild.readers.flow import FlowText
from hrmbuild.readers.registry import read
from hrmbuild.readers.resolving import load_texts
from hrmbuild.readers.spans import SourceText

_HEAD = struct.Struct(">Q")


def main() -> None:
    """Answer requests until the input ends."""
    memory_bytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    sys.excepthook = _Crash(answers)
    confine(memory_bytes)
    while head := requests.read(_HEAD.size):
        task, request = pickle.loads(requests.read(_HEAD.unpack(head)[0]))
        _allow_seconds(seconds)
        _send(answers, _answer(task, request))


def _memory_mib() -> int:
    return resource.getrlimit(resource.RLIMIT_AS)[0] >> 20


def _allow_seconds(seconds: float) -> None:
    """Processor time for one more file: should nobody be left to end this process, the kernel does."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, most))


def _answer(task: str, request: dict[str, Any]) -> dict[str, Any]:
    where = request.get("relative") or Path(request["path"]).name
    try:
        return _read(request) if task == "read" else _texts(request)
    except InputError as error:
        return {"error": error.as_dict()}
    except MemoryError:
        what = f"reading the file takes more than {_memory_mib():,} MiB of memory (limits.memory_mib)"
        fix = "raise limits.memory_mib, split it, or leave it out"
        return {"error": InputError("read.too_large", what, where=where, fix=fix).as_dict()}
    except RecursionError:
        what = "things nest too deep in this file to be read"
        return {"error": InputError("read.too_deep", what, where=where, fix="leave it out").as_dict()}


def _read(request: dict[str, Any]) -> dict[str, Any]:
    result = read(request.pop("path"), **request)
    return {
        "records": [[type(one).__name__, one.model_dump_json()] for one in result.records],
        "skips": [one.model_dump(mode="json") for one in result.skips],
        "notes": result.notes,
    }


def _texts(request: dict[str, Any]) -> dict[str, Any]:
    texts = load_texts(request["path"], format=request["format"])
    return {"texts": [_text(part, text) for part, text in texts.items()]}


def _text(part: str | None, text: SourceText) -> dict[str, Any]:
    starts, pages = (text.starts, text.pages) if isinstance(text, FlowText) else (None, None)
    return {"part": part, "text": text.text, "starts": starts, "pages": pages}


def _send(answers: BinaryIO, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode("ascii")
    answers.write(_HEAD.pack(len(data)) + data)
    answers.flush()


class _Crash:
    """Says what failed before the process ends: an error of ours that no reader foresaw."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
        _send(self._answers, {"crash": f"{kind.__name__} in {place}: {str(error)[:200]}"})
