"""Alterations of a package: each is found, each is named, and none hides another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from hrmbuild.audit.checks import Check
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_below, draw_one
from hrmbuild.packaging.verify import check_files, verify_package


def _failures(folder: Path) -> dict[str, str]:
    return {check.name: check.detail for check in verify_package(folder) if not check.ok}


def _edit_json(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")


@pytest.mark.parametrize("seed", range(40))
def test_any_changed_byte_names_its_file(package: Path, seed: int) -> None:
    names = sorted(path.name for path in package.iterdir())
    path = package / draw_one(names, "alter", seed, "file")
    data = bytearray(path.read_bytes())
    at = draw_below(len(data), "alter", seed, "byte")
    data[at] ^= 1 << draw_below(8, "alter", seed, "bit")
    path.write_bytes(bytes(data))
    failures = _failures(package)
    expected = "manifest.json" if path.name == "manifest.json" else f"file {path.name}"
    assert expected in failures, (path.name, at)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md", "tokenizer.json"])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    assert _failures(package)[f"file {name}"] == "missing"


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (lambda p: (p / ".hidden").write_bytes(b""), ".hidden"),
        (lambda p: (p / "notes.txt").write_text("x"), "notes.txt"),
        (lambda p: (p / ".github").mkdir(), ".github (folder)"),
        (lambda p: (p / "link").symlink_to("/etc/hostname"), "link (symbolic link)"),
        (lambda p: ((p / "sub").mkdir(), (p / "sub" / "model.safetensors").write_bytes(b"")), "sub/model.safetensors"),
    ],
)
def test_anything_planted_is_named(package: Path, plant: Callable[[Path], object], told: str) -> None:
    plant(package)
    assert told in _failures(package)["no other file"]


def test_a_link_to_the_same_bytes_is_not_the_file(package: Path, tmp_path: Path) -> None:
    shutil.move(package / "config.json", tmp_path / "elsewhere.json")
    (package / "config.json").symlink_to(tmp_path / "elsewhere.json")
    told = {"file config.json": "is a symbolic link", "content_root": "cannot be computed without config.json"}
    assert _failures(package) == told


def test_the_manifest_itself_may_not_be_a_link(package: Path, tmp_path: Path) -> None:
    shutil.move(package / "manifest.json", tmp_path / "elsewhere.json")
    (package / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    assert "manifest.json (symbolic link)" in _failures(package)["no other file"]


def test_several_alterations_are_all_named(package: Path) -> None:
    (package / "README.md").write_text("better", "utf-8")
    (package / "generation_config.json").unlink()
    (package / ".env").write_text("x", "utf-8")
    _edit_json(package / "config.json", lambda c: c.update(head_dim=8))
    failures = _failures(package)
    assert failures.keys() >= {"file README.md", "file generation_config.json", "file config.json", "no other file"}
    assert "config" in failures and "probe" in failures


@pytest.mark.parametrize(
    ("key", "value"),
    [("H_cycles", 3), ("num_layers_per_stack", None), ("num_key_value_heads", 12), ("prefix_lm", False),
     ("embedding_scale", 1.0), ("use_cache", False), ("rope_parameters", {"rope_type": "yarn"}), ("extra", 1)],
)  # fmt: skip
def test_a_changed_field_of_the_config_fails_the_config_check(package: Path, key: str, value: object) -> None:
    _edit_json(package / "config.json", lambda c: c.update({key: value}))
    assert {"config", "file config.json"} <= _failures(package).keys()


def test_a_renamed_tensor_is_named_twice(package: Path) -> None:
    path = package / "model.safetensors"
    state = load_file(path)
    state["model.H_module.layers.0.attn.q_proj.weight"] = state.pop("model.H_module.layers.0.attn.o_proj.weight")
    save_file(state, path, metadata={"format": "pt"})
    detail = _failures(package)["tensors"]
    assert "attn.o_proj.weight missing" in detail and "attn.q_proj.weight unexpected" in detail


def test_exchanged_weights_fail_digest_and_probe(package: Path) -> None:
    path = package / "model.safetensors"
    state = {name: tensor * 1.01 for name, tensor in load_file(path).items()}
    save_file(state, path, metadata={"format": "pt"})
    assert _failures(package).keys() >= {"file model.safetensors", "weights digest", "probe", "content_root"}


def test_a_manifest_that_was_written_again_without_its_digest_is_found(package: Path) -> None:
    path = package / "manifest.json"
    fields = json.loads(path.read_bytes()) | {"label": "public"}
    path.write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")), "utf-8")
    assert "manifest.json" in _failures(package)


def test_a_folder_without_a_manifest_has_one_failed_check(tmp_path: Path) -> None:
    (check,) = verify_package(tmp_path)
    assert check == Check("manifest.json", False, "this is no package manifest: No such file or directory")


def test_the_golden_package_of_format_1_verifies_for_ever() -> None:
    golden = Path(__file__).resolve().parent.parent / "golden" / "package-1"
    assert [check for check in verify_package(golden) if not check.ok] == []


def test_files_are_checked_before_use_and_every_fault_is_named(package: Path) -> None:
    check_files(package)
    (package / "README.md").write_text("better", "utf-8")
    (package / "probe.json").unlink()
    (package / ".env").write_text("x", "utf-8")
    with pytest.raises(InputError) as caught:
        check_files(package)
    told = [caught.value, *caught.value.more]
    assert [error.code for error in told] == ["package.altered"] * 3
    assert [error.what.split(":")[0] for error in told] == ["file README.md", "file probe.json", "no other file"]


def test_files_of_a_package_with_an_altered_manifest_are_not_used(package: Path) -> None:
    (package / "manifest.json").write_bytes((package / "manifest.json").read_bytes() + b" ")
    with pytest.raises(InputError, match="not the bytes"):
        check_files(package)
