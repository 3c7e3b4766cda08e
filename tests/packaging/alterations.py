"""Ways to spoil a package, drawn by number: each returns the words of which one must stand in a failed check."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from hrmbuild.audit.keys import new_key, read_private_key
from hrmbuild.fingerprint import canonical_json, draw_below, draw_one, hash_file
from hrmbuild.packaging.signature import signature_bytes
from hrmbuild.records.package import package_content_root, self_digest

Alter = Callable[[Path, int], list[str]]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def one_byte(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(_files(folder), "alter", seed, "file")
    data = bytearray(path.read_bytes())
    data[draw_below(len(data), "alter", seed, "byte")] ^= 1 << draw_below(8, "alter", seed, "bit")
    path.write_bytes(bytes(data))
    return [path.name]


def cut_or_grown(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(_files(folder), "alter", seed, "file")
    data = path.read_bytes()
    path.write_bytes(data + b"\n" if seed % 2 else data[: draw_below(len(data), "alter", seed, "end")])
    return [path.name]


def file_less(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(_files(folder), "alter", seed, "file")
    path.unlink()
    return [path.name]


PLANTED = (
    ".github/x", ".git/config", ".gitattributes", ".env", "notes.txt", "model.safetensors.index.json", "sub/a/b",
    "modeling_hrm_text.py", ".DS_Store", "model.sig.bak", "tokenizer.model", "model-2.safetensors", "é.txt",
)  # fmt: skip


def file_more(folder: Path, seed: int) -> list[str]:
    name = draw_one(PLANTED, "alter", seed, "name")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"" if seed % 3 == 0 else b"{}")
    return [name]


def empty_folder(folder: Path, seed: int) -> list[str]:
    name = draw_one((".github", "checkpoint", ".cache"), "alter", seed, "name")
    (folder / name).mkdir()
    return [f"{name} (folder)"]


def case_variant(folder: Path, seed: int) -> list[str]:
    """A name in other letters: the same file on some disks."""
    name = draw_one(_files(folder), "alter", seed, "file")
    other = name.upper() if name != name.upper() else name.lower()
    if seed % 2:
        shutil.copy(folder / name, folder / other)
        return [other]
    (folder / name).rename(folder / other)
    return [name]


def renamed(folder: Path, seed: int) -> list[str]:
    names = _files(folder)
    first, second = draw_one(names, "alter", seed, "one"), draw_one(names, "alter", seed, "two")
    if first == second:
        second = "other"
    (folder / first).replace(folder / second)
    return [first]


def symbolic_link(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(_files(folder), "alter", seed, "file")
    moved = folder.parent / f"moved-{path.name}"
    shutil.move(path, moved)
    path.symlink_to(moved)
    return [path.name]


def hard_link(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(_files(folder), "alter", seed, "file")
    os.link(path, folder.parent / f"linked-{path.name}" if seed % 2 else folder / "linked")
    return [path.name]


def tensor(folder: Path, seed: int) -> list[str]:
    """A renamed, dropped, added, scaled or reshaped tensor."""
    path = folder / "model.safetensors"
    state = load_file(path)
    name = draw_one(sorted(state), "alter", seed, "tensor")
    held = state.pop(name)
    kind = seed % 5
    if kind == 0:
        state[f"{name}.other"] = held
    elif kind == 2:
        state |= {name: held, f"{name}.more": held.clone()}
    elif kind == 3:
        state[name] = held * 1.0001 + 1e-5
    elif kind == 4:
        state[name] = held.reshape(-1)
    save_file(state, path, metadata={"format": "pt"})
    return ["weights digest"] if kind == 3 else [name, "model.safetensors"]


def config_field(folder: Path, seed: int) -> list[str]:
    path = folder / draw_one(["config.json", "generation_config.json", "tokenizer_config.json"], "alter", seed, "file")
    value: dict[str, Any] = json.loads(path.read_bytes())
    key = draw_one(sorted(value), "alter", seed, "key")
    old = value.pop(key)
    if seed % 3:
        value[key] = (not old) if isinstance(old, bool) else [old]
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", "utf-8")
    return [path.name]


def reseal(folder: Path) -> None:
    """All hashes of the manifest as the folder is now: what somebody without the key can do."""
    path = folder / "manifest.json"
    fields = json.loads(path.read_bytes())
    own = ("manifest.json", "model.sig")
    fields["files"] = {one.name: hash_file(one) for one in sorted(folder.iterdir()) if one.name not in own}
    fields["content_root"] = package_content_root(fields["files"], corpus_content_root=fields["corpus_content_root"])
    fields["self_sha256"] = self_digest(fields)
    path.write_bytes(canonical_json(fields))


def resealed(folder: Path, seed: int) -> list[str]:
    """A changed card, with the manifest made again: only the signature tells."""
    (folder / "README.md").write_bytes((folder / "README.md").read_bytes() + b"Better.\n" * (1 + seed % 7))
    reseal(folder)
    return ["model.sig"]


def resealed_and_unsigned(folder: Path, seed: int) -> list[str]:
    resealed(folder, seed)
    (folder / "model.sig").unlink()
    return ["model.sig"]


def signed_by_another(folder: Path, seed: int) -> list[str]:
    """Everything made again and signed with a key of the forger's."""
    resealed(folder, seed)
    made = new_key("forger", folder.parent / f"forger-{seed}")
    files = {one.name: hash_file(one) for one in folder.iterdir() if one.name != "model.sig"}
    root = json.loads((folder / "manifest.json").read_bytes())["content_root"]
    stated = {"content_root": root, "signed_at": "2026-06-01T00:00:00Z"}
    key = read_private_key(made.private)
    (folder / "model.sig").write_bytes(signature_bytes(files, key, name="forged", stated=stated))
    return [key.fingerprint[:16]]


def manifest_field(folder: Path, seed: int) -> list[str]:
    path = folder / "manifest.json"
    fields = json.loads(path.read_bytes())
    key = draw_one(sorted(fields.keys() - {"files", "self_sha256"}), "alter", seed, "key")
    fields[key] = not fields[key] if isinstance(fields[key], bool) else [fields[key]] if seed % 2 else "0" * 64
    if seed % 3 == 0:
        fields["self_sha256"] = self_digest(fields)
    path.write_bytes(canonical_json(fields))
    return ["manifest.json"]


ALTERATIONS: tuple[Alter, ...] = (
    one_byte, one_byte, one_byte, cut_or_grown, file_less, file_more, file_more, empty_folder, case_variant, renamed,
    symbolic_link, hard_link, tensor, tensor, config_field, config_field, resealed, resealed_and_unsigned,
    signed_by_another, manifest_field,
)  # fmt: skip
"""Those that many files can suffer stand more than once."""
