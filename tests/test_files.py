"""Files are whole or absent, and the disk's refusals are errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrmbuild.errors import InputError
from hrmbuild.files import rename_folder, write_atomic


def test_a_write_replaces_the_old_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    write_atomic(target, b"old")
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["b.txt"]


def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(tmp_path: Path) -> None:
    target = tmp_path / "b.txt"
    target.write_bytes(b"old")
    program = (
        "import resource, sys; from pathlib import Path; from hrmbuild.errors import InputError;"
        "from hrmbuild.files import write_atomic; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomic(Path(sys.argv[1]), bytes(100_000))\n"
        "except InputError as error: print(error.code, '|', error.fix)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("disk.full | free some space")
    assert target.read_bytes() == b"old"


def test_a_folder_in_place_of_the_file_is_an_error_for_the_user(tmp_path: Path) -> None:
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(InputError) as caught:
        write_atomic(tmp_path / "b.txt", b"x")
    assert caught.value.code == "disk.not_writable"


def test_a_finished_folder_appears_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.incomplete").mkdir()
    (tmp_path / "x.incomplete" / "f").write_bytes(b"1")
    rename_folder(tmp_path / "x.incomplete", tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
