"""`hrmbuild doctor`: what this machine and this installation can do, and what to mend.

Owns the list of checks, those of the system among them; `doctor_devices` has those that need torch. It must not change
anything but a scratch file that it removes, must not touch the network, and must end without a traceback whatever is
broken: torch is therefore imported inside a check only.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import re
import resource
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hrmbuild import __version__
from hrmbuild.assets import asset_folder
from hrmbuild.config.loading import find_config, load_project
from hrmbuild.errors import HrmbuildError

LEAST_FREE_GIB = 2.0
"""Disk under which a demo may not come to its end."""
LEAST_FILES = 512
"""Open files that a training with several ranks may need."""
MOST_SKEW_S = 5.0
"""Between this machine's clock and that of the file system."""
GIB = 2**30

OPTIONAL = {
    "transformers": "loads packages with no code of ours (their users need it, training does not)",
    "tensorboard": "train --tracker tensorboard",
    "mlflow": "train --tracker mlflow",
    "wandb": "train --tracker wandb",
    "triton": "FlexAttention and torch.compile on a GPU",
}
"""What is not installed by default, and what it would enable."""


@dataclass(frozen=True)
class Examined:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    fix: str | None = None
    """What to do where it is not ok, or would be worth doing."""
    needed: bool = True
    """Whether training here depends on it."""

    def as_dict(self) -> dict[str, Any]:
        """As `doctor --json` shows it."""
        return dict(vars(self))


@dataclass(frozen=True)
class DoctorReport:
    """All of it."""

    checks: tuple[Examined, ...]

    @property
    def ok(self) -> bool:
        """Whether training works here."""
        return all(check.ok for check in self.checks if check.needed)

    def as_dict(self) -> dict[str, Any]:
        """The keys of `doctor --json`."""
        return {"ok": self.ok, "checks": [check.as_dict() for check in self.checks]}


Check = Callable[[], Iterator[Examined]]


def doctor(*, config: Path | None = None, work: Path | None = None) -> DoctorReport:
    """Look at everything; works outside a project, and with settings that are wrong."""
    network = _network_watch()
    folder = _work_folder(config, work)
    checks: dict[str, tuple[Check, bool]] = {
        "python": (_python, True),
        "versions": (_versions, True),
        "processor": (_processor, True),
        "memory": (_memory, True),
        "GPUs": (_devices("gpus"), True),
        "compute type": (_devices("dtypes"), True),
        "attention": (_devices("attention"), True),
        "ranks": (_devices("ranks"), False),
        "project": (lambda: _project(config, work), True),
        "disk": (lambda: _disk(folder), True),
        "locks": (lambda: _locks(folder), True),
        "clock": (lambda: _clock(folder), False),
        "limits": (_limits, False),
        "templates": (_assets, True),
        "optional parts": (_optional, False),
    }
    found = [one for name, (check, needed) in checks.items() for one in _guarded(name, check, needed=needed)]
    return DoctorReport((*found, _offline(network)))


def _guarded(name: str, check: Check, *, needed: bool) -> list[Examined]:
    """What a check finds; one that breaks down is itself a finding."""
    try:
        return list(check())
    except HrmbuildError as error:
        return [Examined(name, False, str(error).replace("\n", " "), error.fix, needed)]
    except Exception as error:  # noqa: BLE001 - a broken driver or library may raise anything, and that is the finding
        lines = str(error).strip().splitlines()
        told = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        fix = "install this part again (the versions check names what is asked for), or ask its vendor"
        return [Examined(name, False, f"the check broke down: {told}", fix, needed)]


def _devices(name: str) -> Check:
    def check() -> Iterator[Examined]:
        from hrmbuild.pipelines import doctor_devices

        yield from getattr(doctor_devices, name)()

    return check


def _work_folder(config: Path | None, work: Path | None) -> Path:
    """Where a project here would write: the named folder, the project's, else where the user stands."""
    found = config or find_config(Path.cwd())
    folder = work or (found.parent if found else Path.cwd())
    return next((place for place in (folder, *folder.absolute().parents) if place.is_dir()), Path.cwd())


def _python() -> Iterator[Examined]:
    ok = sys.version_info >= (3, 11)
    told = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Examined("python", ok, told, None if ok else "install Python 3.11 or newer")


def _versions() -> Iterator[Examined]:
    """What is installed against the ranges that this version of hrmbuild was published with."""
    try:
        asked = [text for text in importlib.metadata.requires("hrmbuild") or [] if "extra ==" not in text]
    except importlib.metadata.PackageNotFoundError:
        yield Examined("versions", True, f"hrmbuild {__version__}, run from its source: no ranges to compare with",
                       "pip install hrmbuild", needed=False)  # fmt: skip
        return
    wrong = [problem for text in asked if (problem := _version_problem(text)) is not None]
    told = "; ".join(wrong) or f"hrmbuild {__version__} and its {len(asked)} requirements; torch {_version('torch')}"
    yield Examined("versions", not wrong, told, "pip install --upgrade hrmbuild" if wrong else None)


def _version_problem(requirement: str) -> str | None:
    parts = re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)", requirement)
    if parts is None:
        return f"not understood: {requirement}"
    name, ranges = parts[1], parts[2].strip()
    installed = _version(name)
    if installed is None:
        return f"{name} is missing ({ranges} is asked for)"
    bounds = re.findall(r"(>=|<=|<|>|==)\s*([\d.]+)", ranges)
    fits = all(_holds(installed, sign, bound) for sign, bound in bounds)
    return None if fits else f"{name} {installed}, not {ranges}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _holds(installed: str, sign: str, bound: str) -> bool:
    """Compare release numbers, missing parts as zeros; what follows them (`+cpu`, `rc1`) does not count."""
    left, right = (tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])) for text in (installed, bound))
    width = max(len(left), len(right))
    a, b = left + (0,) * (width - len(left)), right + (0,) * (width - len(right))
    return {">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b, "==": a == b}[sign]


def _processor() -> Iterator[Examined]:
    cores, all_cores = _usable_cores(), os.cpu_count() or 1
    bound = f" of {all_cores} (this process may use no others)" if cores < all_cores else ""
    asked = os.environ.get("OMP_NUM_THREADS")
    threads = f"; OMP_NUM_THREADS={asked}" if asked else ""
    load = os.getloadavg()[0]
    busy = load > cores
    told = f"{cores} cores{bound}{threads}; load {load:.1f}"
    fix = "others use this machine: with train.threads: 1 threads do not wait for one another" if busy else None
    yield Examined("processor", cores >= 1, told, fix)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> Iterator[Examined]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    limit = _cgroup_limit_gib()
    bound = total if limit is None else min(total, limit)
    told = f"{total:.1f} GiB" + (f", of which this container may use {limit:.1f}" if bound < total else "")
    ok = bound >= 2
    yield Examined("memory", ok, told, None if ok else "2 GiB are the least for the demo")


def _cgroup_limit_gib() -> float | None:
    path = Path("/sys/fs/cgroup/memory.max")
    text = path.read_text().strip() if path.is_file() else "max"
    return int(text) / GIB if text.isdigit() else None


def _project(config: Path | None, work: Path | None) -> Iterator[Examined]:
    if config is None and find_config(Path.cwd()) is None:
        yield Examined("project", True, "none here", "start one: hrmbuild init DIR --demo", needed=False)
        return
    project = load_project(config, work=work)
    yield Examined("project", True, f"{project.config.name}: {len(project.config.sources)} entries of sources")


def _disk(folder: Path) -> Iterator[Examined]:
    """Free space, and the way in which everything of ours is written: a new name, fsync, rename."""
    free = shutil.disk_usage(folder).free / GIB
    ok = free >= LEAST_FREE_GIB
    fix = f"free some space: {LEAST_FREE_GIB:g} GiB are the least for the demo, XL keeps 19 GB a checkpoint"
    yield Examined("disk space", ok, f"{free:.1f} GiB free in {folder}", None if ok else fix)
    scratch, final = (folder / f".hrmbuild-doctor-{secrets.token_hex(6)}{end}" for end in (".incomplete", ""))
    started_at_s = time.monotonic()
    try:
        with scratch.open("wb") as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, final)
        kept = final.read_bytes() == b"doctor"
    except OSError as error:
        yield Examined("disk writes", False, f"cannot write in {folder}: {error.strerror}",
                       "check the folder's permissions, or name another with --work")  # fmt: skip
        return
    finally:
        scratch.unlink(missing_ok=True)
        final.unlink(missing_ok=True)
    milliseconds = (time.monotonic() - started_at_s) * 1e3
    yield Examined("disk writes", kept, f"write, fsync, rename, read back: {milliseconds:.0f} ms")


def _locks(folder: Path) -> Iterator[Examined]:
    """Two openings of one file must shut each other out: a run's folder is held this way, on shared disks too."""
    path, kind = folder / f".hrmbuild-doctor-{secrets.token_hex(6)}.lock", _file_system(folder)
    try:
        first, second = (os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for _ in range(2))
    except OSError as error:
        yield Examined("locks", False, f"cannot write in {folder}: {error.strerror}", "see disk writes")
        return
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shuts_out = not _can_lock(second)
    except OSError as error:
        yield Examined("locks", False, f"{kind} has no locks: {error.strerror}",
                       "keep the project on a local disk, or mount the share with locks")  # fmt: skip
        return
    finally:
        os.close(first)
        os.close(second)
        path.unlink(missing_ok=True)
    fix = None if shuts_out else "keep the project on a local disk: two trainings could write one run's folder"
    yield Examined("locks", shuts_out, f"{kind}: a held file {'is' if shuts_out else 'is not'} refused", fix)


def _can_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _file_system(folder: Path) -> str:
    """Its kind, by the longest mount point above the folder."""
    mounts = Path("/proc/self/mounts")
    fields = [line.split() for line in mounts.read_text().splitlines()] if mounts.is_file() else []
    here = str(folder.resolve())
    above = [(len(f[1]), f[2]) for f in fields if f[1] == "/" or here == f[1] or here.startswith(f"{f[1]}/")]
    return max(above, default=(0, "file system"))[1]


def _clock(folder: Path) -> Iterator[Examined]:
    """Times stand in receipts and the ledger only, but a clock that is off makes both worthless."""
    path = folder / f".hrmbuild-doctor-{secrets.token_hex(6)}.clock"
    before = time.time()
    try:
        path.touch()
        skew = path.stat().st_mtime - before
    finally:
        path.unlink(missing_ok=True)
    ok = abs(skew) < MOST_SKEW_S and time.gmtime().tm_year >= 2025
    fix = None if ok else "set the clock (or that of the file server); no hash depends on it"
    told = f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())}, the file system {skew:+.1f} s"
    yield Examined("clock", ok, told, fix, needed=False)


def _limits() -> Iterator[Examined]:
    files, size = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE))
    bounded = size != resource.RLIM_INFINITY
    ok = (files == resource.RLIM_INFINITY or files >= LEAST_FILES) and not bounded
    told = f"{files:,} open files; files of {f'at most {size / GIB:.1f} GiB' if bounded else 'any size'}"
    yield Examined("limits", ok, told, None if ok else f"ulimit -n {LEAST_FILES}; ulimit -f unlimited", needed=False)


def _assets() -> Iterator[Examined]:
    counts: list[str] = []
    for name in ("templates", "schemas", "examples"):
        try:
            counts.append(f"{sum(path.is_file() for path in asset_folder(name).rglob('*'))} {name}")
        except FileNotFoundError as error:
            yield Examined(name, False, str(error), "install hrmbuild again")
    if len(counts) == 3:
        yield Examined("templates", True, ", ".join(counts))


def _optional() -> Iterator[Examined]:
    for module, enables in OPTIONAL.items():
        there = find_spec(module) is not None
        name = module.replace("_", "-")
        version = _version(name) if there else None
        told = f"{version or 'installed'}: {enables}" if there else f"not installed: {enables}"
        yield Examined(f"optional {name}", there, told, None if there else f"pip install {name}", needed=False)


def _network_watch() -> list[str]:
    """Addresses that this process tries to reach from now on; a hook of Python's own sees every attempt."""
    tried: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            tried.append(str(arguments[1][0]))

    sys.addaudithook(hook)
    return tried


def _offline(tried: list[str]) -> Examined:
    outside = sorted({address for address in tried if address not in ("127.0.0.1", "::1", "localhost")})
    told = (
        f"tried to reach {', '.join(outside)}"
        if outside
        else "nothing was tried over the network, and nothing needs it"
    )
    return Examined("offline", not outside, told, "please report it" if outside else None, needed=False)
