"""From freeze to verify with keys: who signed is asked apart from what is intact, and the log knows what was made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from packaged_project import Packaged, copy_packaged
from signed_project import Frozen, trust_file

from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.decisions import append as append_decision
from hrmbuild.audit.keys import PrivateKey, new_key, read_private_key
from hrmbuild.audit.log import append, read_log
from hrmbuild.config.loading import load_project
from hrmbuild.errors import InputError, UsageError
from hrmbuild.fingerprint import canonical_json, draw_below, draw_one, sha256_hex
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.decision import Decision, Subject

TOMORROW = (date.today() + timedelta(days=2)).isoformat()


def test_a_signed_freeze_is_intact_and_authentic(signed_once: Frozen) -> None:
    report = verify(signed_once.manifest, project=signed_once.project, trust=signed_once.trust)
    assert (report.ok, report.intact, report.authentic) == (True, True, True)
    assert {"log", "signed by", "manifest.dsse.json"} <= {check.name for check in report.checks}
    assert verify(signed_once.manifest, project=signed_once.project).authentic is None


def test_without_its_project_a_manifest_is_judged_by_the_trust_file_alone(signed: Frozen, tmp_path: Path) -> None:
    alone = shutil.copytree(signed.manifest, tmp_path / "alone")
    report = verify(alone, trust=signed.trust)
    assert (report.intact, report.authentic) == (True, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"role": "packager"}, "not as ingester"),
        ({"role": "ingester", "start": TOMORROW}, "not yet valid"),
        ({"role": "ingester", "extra": ", valid_until: 2020-02-02"}, "had expired"),
        ({"role": "ingester", "extra": ", revoked_at: 2020-02-02"}, "was revoked"),
    ],
)
def test_a_key_that_may_not_sign_is_named_and_nothing_else_fails(signed: Frozen, options: dict, told: str) -> None:
    trust_file(signed.trust.parent, **options)
    failures = signed.failures()
    assert failures.keys() == {"signed by"} and told in failures["signed by"] and "Ines" in failures["signed by"]


def test_freezing_again_signs_nothing_again_and_another_key_replaces_the_signature(signed: Frozen) -> None:
    signature, log = signed.manifest / "manifest.dsse.json", signed.project.work / "log.jsonl"
    before = (signature.read_bytes(), log.read_bytes())
    own = signed.trust.parent
    again = freeze(signed.project, key=own / "ines.private.pem")
    assert again.unchanged and (signature.read_bytes(), log.read_bytes()) == before
    freeze(signed.project)
    assert (signature.read_bytes(), log.read_bytes()) == before
    freeze(signed.project, key=new_key("bob", own).private)
    assert "does not list" in signed.failures()["signed by"] and log.read_bytes() == before[1]


def test_an_unsigned_manifest_is_not_authentic_where_somebody_asks(signed: Frozen) -> None:
    (signed.manifest / "manifest.dsse.json").unlink()
    assert signed.failures() == {
        "signed by": "nobody: there is no manifest.dsse.json",
        "manifest.dsse.json": "missing: the log tells that this freeze was signed",
    }
    alone = Path(shutil.copytree(signed.manifest, signed.trust.parent / "alone"))
    assert verify(alone).ok and not verify(alone, trust=signed.trust).ok


def test_the_projects_own_trust_file_is_taken_and_one_inside_the_artifact_refused(signed: Frozen) -> None:
    for path in (signed.trust, signed.trust.with_name("ines.public.pem")):
        shutil.copy(path, signed.project.work)
    assert verify(signed.manifest, project=signed.project).authentic is True
    shutil.copy(signed.trust, signed.manifest)
    with pytest.raises(UsageError) as caught:
        verify(signed.manifest, trust=signed.manifest / "trust.yaml")
    assert caught.value.code == "trust.inside"


def test_a_log_that_was_cut_or_changed_or_is_gone_is_named(signed: Frozen) -> None:
    log = signed.project.work / "log.jsonl"
    append(log, "note", "1" * 64, at="2026-01-01T00:00:00Z", facts={})
    assert signed.failures() == {}
    data = log.read_bytes()
    log.write_bytes(data[:-1])
    assert signed.failures() == {"log": "line 2: it was torn off"}
    log.write_bytes(data.splitlines(keepends=True)[1])
    assert "does not continue" in signed.failures()["log"]
    log.write_bytes(b"")
    assert "does not reach the head" in signed.failures()["log"]
    log.unlink()
    assert "missing" in signed.failures()["log"]
    log.write_bytes(data[:-1])
    with pytest.raises(InputError) as caught:
        append(log, "note", "2" * 64, at="2026-01-01T00:00:00Z", facts={})
    assert caught.value.code == "log.broken"


def test_a_manifest_that_the_log_does_not_know_is_refused(signed: Frozen) -> None:
    other = signed.manifest.with_name("other")
    shutil.copytree(signed.manifest, other)
    told = json.loads((other / "manifest.json").read_bytes()) | {"name": "other"}
    data = canonical_json(told)
    (other / "manifest.json").write_bytes(data)
    (other / "manifest.sha256").write_text(f"{sha256_hex(data)}  manifest.json\n")
    failures = replace(signed, manifest=other).failures()
    assert "does not know this freeze" in failures["log"] and "another manifest" in failures["manifest.dsse.json"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_rows_that_cannot_be_read_end_no_verification_beside_the_corpus(
    signed: Frozen, spoil: Callable[[Path], object]
) -> None:
    spoil(signed.manifest / "pairs.parquet")
    failures = signed.failures()
    assert {"file pairs.parquet", "rows", "corpus"} <= failures.keys() and "not compared" in failures["corpus"]


def _byte(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    data[draw_below(len(data), "manifest", seed, "byte")] ^= 1 << draw_below(8, "manifest", seed, "bit")
    path.write_bytes(bytes(data))


def pack_byte(signed: Frozen, seed: int) -> list[str]:
    names = sorted(path.name for path in signed.manifest.iterdir())
    path = signed.manifest / draw_one(names, "manifest", seed, "file")
    _byte(path, seed)
    return [path.name, "signed by"]


def source_byte(signed: Frozen, seed: int) -> list[str]:
    folders = ("policies", "memos", "rules")
    files = sorted(one for name in folders for one in (signed.project.folder / name).rglob("*") if one.is_file())
    path = draw_one(files, "manifest", seed, "source")
    _byte(path, seed)
    return [path.relative_to(signed.project.folder).as_posix()]


def row(signed: Frozen, seed: int) -> list[str]:
    """A changed row, with every hash beside it made again."""
    path = signed.manifest / "pairs.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    chosen = rows[draw_below(len(rows), "manifest", seed, "row")]
    value = json.loads(chosen["row"])
    value["response"] += "!"
    chosen["row"] = canonical_json(value).decode()
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    _reseal(signed.manifest)
    return [chosen["id"][:12]]


def _reseal(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_bytes())
    told["evidence"] = {name: sha256_hex((folder / name).read_bytes()) for name in told["evidence"]}
    data = canonical_json(told)
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_text(f"{sha256_hex(data)}  manifest.json\n")


def field(signed: Frozen, seed: int) -> list[str]:
    """A changed field of the manifest, with its digest file made again: label, counts, reasons, gates …"""
    path = signed.manifest / "manifest.json"
    told = json.loads(path.read_bytes())
    place: Any = told
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw_one(keys, "manifest", seed, f"key{len(keys)}")
        if isinstance(place[key], dict | list) and place[key]:
            place = place[key]
            continue
        old = place[key]
        place[key] = old + 1 if isinstance(old, int) and not isinstance(old, bool) else f"{old}x"
        break
    path.write_bytes(canonical_json(told))
    (path.with_name("manifest.sha256")).write_text(f"{sha256_hex(path.read_bytes())}  manifest.json\n")
    return ["manifest.dsse.json", "no manifest of format 1"]


def log_line(signed: Frozen, seed: int) -> list[str]:
    log = signed.project.work / "log.jsonl"
    for number in range(seed % 3):
        append(log, "note", sha256_hex(str(number).encode()), at="2026-01-01T00:00:00Z", facts={})
    if seed % 2:
        _byte(log, seed)
    else:
        data = log.read_bytes()
        log.write_bytes(data[: draw_below(data.index(b"\n") + 1, "manifest", seed, "cut")])
    return ["log"]


def planted(signed: Frozen, seed: int) -> list[str]:
    name = draw_one((".github/x", "notes.txt", ".env", "sub/a", "MANIFEST.JSON"), "manifest", seed, "name")
    (signed.manifest / name).parent.mkdir(exist_ok=True)
    (signed.manifest / name).write_bytes(b"")
    return [name]


def gone(signed: Frozen, seed: int) -> list[str]:
    names = sorted(path.name for path in signed.manifest.iterdir() if path.name != "manifest.json")
    path = signed.manifest / draw_one(names, "manifest", seed, "file")
    path.unlink()
    return [path.name]


def linked(signed: Frozen, seed: int) -> list[str]:
    names = sorted(path.name for path in signed.manifest.iterdir())
    path = signed.manifest / draw_one(names, "manifest", seed, "file")
    shutil.move(path, signed.trust.parent / path.name)
    path.symlink_to(signed.trust.parent / path.name)
    return [path.name]


def forged(signed: Frozen, seed: int) -> list[str]:
    """Everything made again and signed with another key."""
    path = signed.manifest / "manifest.json"
    path.write_bytes(canonical_json(json.loads(path.read_bytes()) | {"name": f"better {seed}"}))
    _reseal(signed.manifest)
    key = new_key("forger", signed.trust.parent / f"forger{seed}")
    _sign_with(signed, key.private)
    return [key.fingerprint[:16]]


def _sign_with(signed: Frozen, key: Path) -> None:
    from hrmbuild.audit.signing import signed_bytes, statement

    data = (signed.manifest / "manifest.json").read_bytes()
    told = json.loads(data)
    stated = {"content_root": told["content_root"], "label": told["label"], "signed_at": "2026-01-01T00:00:00Z"}
    subjects = [("manifest.json", sha256_hex(data))]
    value = statement(subjects=subjects, predicate_type="urn:hrmbuild:freeze:1", predicate=stated)
    (signed.manifest / "manifest.dsse.json").write_bytes(signed_bytes(value, read_private_key(key)))


def decision(signed: Frozen, seed: int) -> list[str]:
    """Decisions are made, and then altered or cut."""
    path = decide_twice(signed)
    if seed % 2:
        _byte(path, seed)
    else:
        path.write_bytes(path.read_bytes()[: -1 - draw_below(path.stat().st_size - 1, "manifest", seed, "cut")])
    return ["decisions: line", "is not there as it was told"]


def decide_twice(signed: Frozen, *, key: PrivateKey | None = None) -> Path:
    path = signed.project.work / DECISIONS_NAME
    digest = sha256_hex((signed.manifest / "manifest.json").read_bytes())
    for action in ("approve", "reject"):
        about = Subject(kind="manifest", sha256=digest)
        append_decision(path, Decision(action=action, subject=about, reason="read", at="2026-01-01T00:00:00Z"), key=key)
    return path


def resealed_decisions(signed: Frozen, seed: int) -> list[str]:
    """The log is begun anew, and everything in it decided with another key."""
    (signed.project.work / "log.jsonl").unlink()
    digest = sha256_hex((signed.manifest / "manifest.json").read_bytes())
    append(signed.project.work / "log.jsonl", "freeze", digest, at=f"2026-01-01T00:00:{seed % 60:02}Z", facts={})
    key = read_private_key(new_key("forger", signed.trust.parent / f"forger{seed}").private)
    decide_twice(signed, key=key)
    return [key.fingerprint[:16]]


ALTERATIONS: tuple[Callable[[Frozen, int], list[str]], ...] = (
    pack_byte, source_byte, row, field, log_line, planted, gone, linked, forged, field, decision,
    resealed_decisions,
)  # fmt: skip


def check_alteration(signed: Frozen, number: int) -> None:
    alter = ALTERATIONS[number % len(ALTERATIONS)]
    words = alter(signed, number)
    told = signed.failures()
    shown = " ".join(f"{name}: {detail}" for name, detail in told.items())
    assert told and any(word in shown for word in words), (alter.__name__, words, told)


@pytest.mark.parametrize("number", range(len(ALTERATIONS)))
def test_whatever_is_done_to_manifest_corpus_or_log_is_found_and_named(signed: Frozen, number: int) -> None:
    check_alteration(signed, number)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 300, 50))
def test_three_hundred_alterations_are_all_found_and_named(signed_once: Frozen, tmp_path: Path, start: int) -> None:
    for number in range(start, start + 50):
        place = tmp_path / str(number)
        shutil.copytree(signed_once.project.work, place / "project")
        shutil.copytree(signed_once.trust.parent, place / "own")
        project = load_project(place / "project" / "hrmbuild.yaml")
        manifest = project.manifests_folder / signed_once.manifest.name
        check_alteration(Frozen(project, manifest, place / "own" / "trust.yaml"), number)
        shutil.rmtree(place)


def test_a_signed_package_is_known_to_the_log_and_judged_with_its_corpus(
    packaged_once: Packaged, tmp_path: Path
) -> None:
    packaged = copy_packaged(packaged_once, tmp_path / "project")
    project, own = packaged.project, tmp_path / "own"
    key = new_key("ines", own).private
    freeze(project, key=key)
    made = package(project, out=project.packages_folder / "signed", key=key)
    assert (
        made.as_dict()["signed_by"]
        and made.manifest.content_root == json.loads((packaged.package / "manifest.json").read_bytes())["content_root"]
    )
    report = verify(made.folder, project=project, trust=trust_file(own, role="packager, ingester"))
    assert (report.ok, report.authentic) == (True, True), [c for c in report.checks if not c.ok]
    told = {check.name: check.detail for check in report.checks}
    assert {"log", "corpus: signed by", "corpus: log", "provenance"} <= told.keys()
    only_packager = verify(made.folder, project=project, trust=trust_file(own, role="packager"))
    assert (only_packager.authentic, only_packager.intact, only_packager.ok) == (False, True, False)
    log = project.work / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[: len(read_log(log).links) - 1]))
    failures = {c.name: c.detail for c in verify(made.folder, project=project).checks if not c.ok}
    assert "log" in failures and "does not know this package" in failures["log"]
