"""OpenSSF's own tool, in an environment of its own, verifies what we sign and refuses what was altered."""

from __future__ import annotations

from pathlib import Path

import pytest
from installed import CONSTRAINTS, Environment, empty_environment

from hrmbuild.audit.keys import new_key, read_private_key
from hrmbuild.fingerprint import hash_file
from hrmbuild.packaging.signature import SIGNATURE_NAME, signature_bytes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """model-signing 1.1.1; it imports pyOpenSSL without declaring it."""
    environment = empty_environment(tmp_path_factory.mktemp("tool") / "venv")
    wanted = ("model-signing==1.1.1", "pyOpenSSL")
    environment.run("python", "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS, *wanted, cwd=environment.folder)
    return environment


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A folder with files in sub-folders, signed as packages are, and the public key beside it."""
    made = new_key("pia", tmp_path)
    folder = tmp_path / "package"
    for name in ("config.json", "model.safetensors", "sub/é.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, "utf-8")
    files = {path.relative_to(folder).as_posix(): hash_file(path) for path in folder.rglob("*") if path.is_file()}
    stated = {"signed_at": "2026-06-01T10:00:00Z", "content_root": "0" * 64}
    data = signature_bytes(files, read_private_key(made.private), name="a model", stated=stated)
    (folder / SIGNATURE_NAME).write_bytes(data)
    return folder


def verify(tool: Environment, folder: Path, key: str = "pia") -> str:
    public = folder.parent / f"{key}.public.pem"
    words = ("verify", "key", "--public_key", public, "--no-ignore-git-paths", "--signature", folder / SIGNATURE_NAME)
    return tool.run("model_signing", *words, folder, cwd=folder.parent)


def test_the_tool_verifies_what_we_sign(tool: Environment, signed: Path) -> None:
    assert "Verification succeeded" in verify(tool, signed)


@pytest.mark.parametrize("what", ["altered", "planted", "gone", "another key"])
def test_the_tool_refuses_what_was_altered(tool: Environment, signed: Path, what: str) -> None:
    if what == "altered":
        (signed / "config.json").write_text("other")
    elif what == "planted":
        (signed / ".github").mkdir()
        (signed / ".github" / "x").write_text("x")
    elif what == "gone":
        (signed / "config.json").unlink()
    else:
        new_key("bob", signed.parent)
    with pytest.raises(AssertionError, match="Verification failed"):
        verify(tool, signed, "bob" if what == "another key" else "pia")
