"""Substitutions that fit one another, hash for hash, by somebody who knows the code: each is named, or said to be open.

Each alteration makes again whatever no key protects. What `verify` cannot look at must not be called ok.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packaged_project import Packaged
from signed_project import Frozen

from hrmbuild.audit.checks import Check, VerifyReport, not_looked_at
from hrmbuild.audit.decisions import DECISIONS_NAME
from hrmbuild.audit.decisions import append as decide
from hrmbuild.audit.erased import erase_pack
from hrmbuild.audit.keys import new_key, read_private_key
from hrmbuild.audit.log import append as tell
from hrmbuild.audit.manifest import read_manifest
from hrmbuild.cli.render import verify_lines
from hrmbuild.config.loading import load_project
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import canonical_json, hash_file, hash_value, sha256_hex
from hrmbuild.pipelines.freeze import freeze
from hrmbuild.pipelines.ingest import ingest
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.replay import replay
from hrmbuild.pipelines.run_batches import _steps
from hrmbuild.pipelines.train import train
from hrmbuild.pipelines.train_mix import run_repeats
from hrmbuild.pipelines.verify import verify
from hrmbuild.records.decision import Decision, Subject
from hrmbuild.records.erased import Erased
from hrmbuild.tokens.files import open_token_files
from hrmbuild.training.feed import trained_slots
from hrmbuild.training.metrics import CHAIN_START, StepFacts, next_link
from hrmbuild.training.run_folder import RunFolder

AT = "2026-01-01T00:00:00Z"
Alter = Callable[[Packaged], object]


def loaded(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def failed(report: VerifyReport) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if not check.ok}


# --- runs: everything in a folder that nobody signs can be made again --------------------


def seal_state(checkpoint: Path, **changed: Any) -> dict[str, Any]:
    state = loaded(checkpoint / "state.json") | changed
    state.pop("state_sha256")
    state["files"] = {name: hash_file(checkpoint / name) for name in state["files"]}
    state["state_sha256"] = hash_value(state)
    (checkpoint / "state.json").write_text(json.dumps(state))
    return state


def chain_again(run: Path, lines: list[dict[str, Any]]) -> None:
    """Metrics, checkpoints and result as if these steps had been the run's."""
    links = [CHAIN_START]
    for line in lines:
        facts = StepFacts.model_validate({key: line[key] for key in StepFacts.model_fields if key in line})
        links.append(next_link(links[-1], facts))
        line["chain"] = links[-1]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    last: dict[str, Any] = {}
    for checkpoint in sorted((run / "checkpoints").iterdir()):
        step = loaded(checkpoint / "state.json")["step"]
        if step < len(links):
            last = seal_state(checkpoint, metrics_sha256=links[step]) | {"name": checkpoint.name}
        else:
            shutil.rmtree(checkpoint)
    told = loaded(run / "result.json") | {"metrics_sha256": links[-1], "steps": len(lines), "loss": lines[-1]["loss"]}
    told |= {"checkpoint": last["name"]} | {name: last[name] for name in ("ema_sha256", "weights_sha256")}
    told["dev"] = lines[-1].get("dev")
    (run / "result.json").write_text(json.dumps({key: value for key, value in told.items() if value is not None}))


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_bytes().splitlines()]


def token_folder(packaged: Packaged) -> Path:
    (folder,) = (packaged.project.work / "token-files").iterdir()
    return folder


def spoil_tokens(packaged: Packaged, name: str = "tokens.bin", at: int = 60) -> None:
    """Other tokens (or rows), with every hash beside them made again."""
    folder = token_folder(packaged)
    path, state = folder / "train" / name, loaded(folder / "token-files.json")
    data = bytearray(path.read_bytes())
    data[at] ^= 3
    path.write_bytes(bytes(data))
    state["splits"]["train"]["sha256"][name] = hash_file(path)
    (folder / "token-files.json").write_bytes(canonical_json(state))


def rows_of_no_manifest(packaged: Packaged) -> None:
    """Rows that stand in no manifest, and metrics that tell of exactly them."""
    spoil_tokens(packaged, "ids.bin", 0)
    path = packaged.run / "run.json"
    path.write_text(json.dumps({key: value for key, value in loaded(path).items() if key != "token_files_sha256"}))
    record = RunFolder(packaged.run).record()
    assert record is not None
    config = record.config
    data = open_token_files(
        token_folder(packaged), content_root=config.content_root, tokenizer_sha256=config.tokenizer_sha256
    )
    slots = trained_slots(data.splits["train"], config.model.context_tokens)
    folder = current_manifest(packaged.project)
    assert folder is not None
    repeats = run_repeats(read_manifest(folder), data, slots, mix=None, seed=config.seed)
    planned = _steps(config, data, slots, repeats)
    chain_again(packaged.run, [line | {"batch": next(planned).batch} for line in steps_of(packaged.run)])


def edit_run(**changed: Any) -> Alter:
    def edit(packaged: Packaged) -> None:
        path = packaged.run / "run.json"
        path.write_text(json.dumps(loaded(path) | changed))

    return edit


def swap_weights(packaged: Packaged) -> None:
    first, *_, last = sorted((packaged.run / "checkpoints").iterdir())
    shutil.copy(first / "weights.safetensors", last / "weights.safetensors")
    seal_state(last)


def append_to(name: str, data: bytes) -> Alter:
    def edit(packaged: Packaged) -> None:
        with (packaged.run / name).open("ab") as file:
            file.write(data)

    return edit


def key_twice(packaged: Packaged) -> None:
    path = packaged.run / "run.json"
    path.write_text(path.read_text().replace("{", '{"lineage": "complete",', 1))


def linked_checkpoint(packaged: Packaged) -> None:
    checkpoint = min((packaged.run / "checkpoints").iterdir())
    checkpoint.rename(packaged.project.work / "away")
    checkpoint.symlink_to(packaged.project.work / "away")


def no_train_split(packaged: Packaged) -> None:
    path = token_folder(packaged) / "token-files.json"
    state = loaded(path)
    state["splits"].pop("train")
    path.write_bytes(canonical_json(state))


RUNS: dict[str, tuple[Alter, str, str]] = {
    "the end was cut, the result made again": (
        lambda packaged: chain_again(packaged.run, steps_of(packaged.run)[:-1]), "result.json", "the settings of 4"
    ),
    "more tokens than the plan": (
        lambda packaged: chain_again(packaged.run, [one | {"tokens": 10**6} for one in steps_of(packaged.run)]),
        "batches", "another tokens",
    ),
    "another epoch": (
        lambda packaged: chain_again(packaged.run, [one | {"epoch": 7} for one in steps_of(packaged.run)]),
        "batches", "another epoch",
    ),
    "fewer pairs": (edit_run(train_pairs=1), "run.json beside the manifest", "pairs"),
    "another lineage": (edit_run(lineage="partial: x"), "run.json beside the manifest", "lineage"),
    "pairs over the context": (edit_run(too_long={"x": 1}), "run.json beside the manifest", "over the context"),
    "other token files": (edit_run(token_files_sha256="1" * 64), "token files", "other token files"),
    "tokens": (spoil_tokens, "token files", "other token files"),
    "rows of no manifest": (rows_of_no_manifest, "token ids", "other rows"),
    "no train split": (no_train_split, "token files", "every split"),
    "weights of another step": (swap_weights, "checkpoint step_000004", "the weights are not those"),
    "a linked checkpoint": (linked_checkpoint, "checkpoint step_000003", "symbolic link"),
    "a key twice": (key_twice, "run.json", "a key stands twice"),
    "something after the last line": (append_to("metrics.jsonl", b"more"), "result.json", "goes on after"),
    "a line too deep to read": (append_to("metrics.jsonl", b"[" * 100_000 + b"\n"), "metrics.jsonl", "too deep"),
}  # fmt: skip
FAST = {"the end was cut, the result made again", "rows of no manifest"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in RUNS])
def test_a_run_whose_hashes_fit_is_held_against_its_manifest(packaged: Packaged, name: str) -> None:
    alter, check, words = RUNS[name]
    alter(packaged)
    found = failed(verify(packaged.run, project=load_project(packaged.project.config_path)))
    assert words in found[check], found


@pytest.mark.slow
def test_made_up_batches_are_found_though_the_token_files_are_gone(packaged: Packaged) -> None:
    shutil.rmtree(packaged.project.work / "token-files")
    report = verify(packaged.run, project=packaged.project)
    assert report.ok and {"token files", "batches"} <= set(report.not_looked_at)
    assert verify(packaged.run, project=packaged.project, deep=True).ok
    chain_again(packaged.run, [line | {"batch": "0" * 64} for line in steps_of(packaged.run)])
    assert "other pairs" in failed(verify(packaged.run, project=packaged.project, deep=True))["batches"]


@pytest.mark.slow
def test_a_run_on_altered_tokens_is_found_by_deep_and_by_replay_though_all_is_put_back(
    packaged: Packaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {path: path.read_bytes() for path in token_folder(packaged).rglob("*") if path.is_file()}
    spoil_tokens(packaged)
    mended = train(packaged.project, out=packaged.project.runs_folder / "mended", steps=1).record
    assert mended.token_files_sha256 == loaded(packaged.run / "run.json")["token_files_sha256"]
    spoil_tokens(packaged)
    monkeypatch.setattr("hrmbuild.pipelines.train_corpus.MOST_ENCODED_AGAIN", 0)
    run = train(packaged.project, out=packaged.project.runs_folder / "evil").folder
    found = verify(run, project=packaged.project)
    assert failed(found) == {} and "token files" in found.not_looked_at
    assert "other bytes" in failed(verify(run, project=packaged.project, deep=True))["token files"]
    assert not replay(packaged.project, run, nonce="any").ok
    for path, data in kept.items():
        path.write_bytes(data)
    assert "other token files" in failed(verify(run, project=packaged.project))["token files"]
    assert "other token files" in failed(verify(run, project=packaged.project, deep=True))["token files"]
    (run / "result.json").unlink()
    with pytest.raises(InputError) as told:
        train(packaged.project, out=run, resume=True)
    assert told.value.code == "train.other_tokens"


@pytest.mark.slow
def test_a_package_answers_for_its_run_as_it_was_when_it_was_packaged(packaged: Packaged) -> None:
    chain_again(packaged.run, [line | {"correct": 0} for line in steps_of(packaged.run)])
    assert failed(verify(packaged.run, project=packaged.project)) == {}
    assert "altered since" in failed(verify(packaged.package, project=packaged.project))["run"]
    path = packaged.run / "run.json"
    path.write_text(json.dumps(loaded(path) | {"manifest_sha256": "2" * 64}))
    assert "another manifest" in failed(verify(packaged.package, project=packaged.project))["run"]


def test_nothing_is_called_ok_that_was_not_looked_at(packaged_once: Packaged, tmp_path: Path) -> None:
    report = verify(packaged_once.run)
    assert report.ok and set(report.not_looked_at) == {"batches", "chain"}
    lines = verify_lines(report)
    assert [line[:4] for line in lines if line[6:].startswith("chain: ")] == ["--  "]
    assert lines[-1] == "verify: ok; 2 things were not looked at (--)"
    assert report.trust is None and "not asked" in lines[-2]
    (tmp_path / "run").mkdir()
    shutil.copy(packaged_once.run / "run.json", tmp_path / "run")
    assert {"metrics.jsonl", "result.json"} <= set(verify(tmp_path / "run").not_looked_at)
    told = report.as_dict()
    assert told["not_looked_at"] == ["batches", "chain"] and {"name": "chain", "ok": None} in [
        {"name": one["name"], "ok": one["ok"]}
        for one in told["checks"]  # type: ignore[attr-defined,index]
    ]


def test_a_run_is_not_authentic_by_the_signature_of_its_corpus() -> None:
    run = replace(not_looked_at("signed by", "a run carries no signature"), about_who=True)
    corpus = Check("corpus: signed by", True, "Ines", about_who=True)
    assert VerifyReport("run", "x", (run, corpus)).authentic is None and VerifyReport("run", "x", (corpus,)).authentic
    assert VerifyReport("run", "x", (run, replace(corpus, ok=False))).authentic is False


# --- manifests, decisions and the log, by somebody without a key that counts --------------------


def source_of(signed: Frozen) -> tuple[str, str]:
    sources = loaded(signed.manifest / "manifest.json")["sources"]
    one = next(one["source"] for one in sources if one["source"]["path"].startswith("memos/"))
    return one["path"], one["sha256"]


def decided(signed: Frozen, action: Any, sha256: str, *, key: Path | None = None) -> None:
    subject = Subject(kind="source", sha256=sha256)
    decide(signed.project.work / DECISIONS_NAME, Decision(action=action, subject=subject, reason="x", at=now()),
           key=read_private_key(key) if key else None)  # fmt: skip


def with_approver(signed: Frozen) -> Path:
    """Lists the key of Ada, who may decide."""
    key = new_key("ada", signed.trust.parent).private
    entry = "  - {person: Ada, roles: [approver], public_key: ada.public.pem, valid_from: 2020-01-01}\n"
    signed.trust.write_text(signed.trust.read_text() + entry)
    return key


@pytest.mark.slow
@pytest.mark.parametrize("action", ["withdraw", "erase"])
def test_what_nobody_signed_excuses_no_file_that_is_missing(signed: Frozen, action: str) -> None:
    key = with_approver(signed)
    path, sha256 = source_of(signed)
    (signed.project.folder / path).write_text("another text")
    decided(signed, action, sha256)
    assert {"sources", "quotes"} <= signed.failures().keys()
    unasked = verify(signed.manifest, project=signed.project)
    assert unasked.ok and {"withdrawn sources", "corpus"} <= set(unasked.not_looked_at)
    decided(signed, action, sha256, key=key)
    report = verify(signed.manifest, project=signed.project, trust=signed.trust)
    assert report.ok and {"withdrawn sources", "corpus"} <= set(report.not_looked_at)


@pytest.mark.slow
def test_an_erasure_that_no_trusted_decision_tells_of_is_not_authentic(signed: Frozen, tmp_path: Path) -> None:
    """The manifest's signature stays good: nothing that it signs was touched."""
    alone = Path(shutil.copytree(signed.manifest, tmp_path / "alone"))
    assert erase_pack(alone, source_of(signed)[1])
    report = verify(alone, trust=signed.trust)
    assert (report.intact, report.authentic) == (True, False) and "nobody who may decide" in failed(report)["erased by"]
    assert "erased.json" in verify(alone).not_looked_at


@pytest.mark.slow
def test_an_erasure_vouches_for_no_file_that_it_does_not_rewrite(signed: Frozen) -> None:
    for name in ("tokenizer.json", "row.schema.json", "leaves.bin"):
        (signed.manifest / name).write_bytes(b"{}")
    names = ("tokenizer.json", "row.schema.json", "leaves.bin")
    told = Erased(sources=(), pairs=0, files={name: hash_file(signed.manifest / name) for name in names})
    (signed.manifest / "erased.json").write_bytes(told.canonical_bytes())
    assert {f"file {name}" for name in names} <= signed.failures().keys()


@pytest.mark.slow
def test_a_signed_decision_stands_at_the_place_where_it_was_made(signed: Frozen) -> None:
    """Cut from both records, and told again after something that it should have come before."""
    key, log = with_approver(signed), signed.project.work / "log.jsonl"
    before = log.read_bytes()
    decided(signed, "withdraw", source_of(signed)[1], key=key)
    entry = json.loads(log.read_bytes().splitlines()[-1])
    log.write_bytes(before)
    tell(log, "note", "1" * 64, at=AT, facts={})
    tell(log, entry["event"], entry["sha256"], at=entry["at"], facts=entry["facts"])
    assert "at another place" in signed.failures()["decisions"]


@pytest.mark.slow
def test_a_log_that_tells_of_other_things_does_not_know_this_freeze(signed: Frozen) -> None:
    (signed.manifest / "manifest.dsse.json").unlink()
    log = signed.project.work / "log.jsonl"
    log.unlink()
    assert "log" in verify(signed.manifest, project=signed.project).not_looked_at
    tell(log, "note", "1" * 64, at=AT, facts={})
    assert "does not know this freeze" in signed.failures()["log"]


@pytest.mark.slow
def test_numbers_written_as_text_are_no_numbers(signed: Frozen) -> None:
    path = signed.manifest / "manifest.json"
    told = loaded(path)
    told["splits"]["train"]["pairs"] = str(told["splits"]["train"]["pairs"])
    path.write_bytes(canonical_json(told))
    path.with_name("manifest.sha256").write_text(f"{sha256_hex(path.read_bytes())}  manifest.json\n")
    assert "valid integer" in failed(verify(signed.manifest))["manifest.json"]


@pytest.mark.slow
def test_making_again_takes_nothing_from_a_folder_that_it_was_not_given(tmp_path: Path) -> None:
    """A row that no source gives, and a corpus that says it was made again already, where it would be made."""
    import duckdb
    from small_project import write_project

    project = write_project(tmp_path / "project")
    ingest(project)
    with duckdb.connect(str(project.corpus_path)) as corpus:
        query = "SELECT unit, ordinal, pair_id, condition, instruction FROM candidate WHERE derivation = 'evaluated'"
        [(unit, ordinal, old, condition, asked)] = corpus.execute(f"{query} LIMIT 1").fetchall()
        new = hash_value([condition, asked, "No."])
        corpus.execute("UPDATE candidate SET response = 'No.', pair_id = ? WHERE unit = ? AND ordinal = ?",
                       [new, unit, ordinal])  # fmt: skip
        corpus.execute("UPDATE pair SET id = ? WHERE id = ?", [new, old])
    folder = freeze(project).folder
    planted = project.work / ".verify" / loaded(folder / "manifest.json")["content_root"][:12]
    planted.mkdir(parents=True)
    shutil.copy(project.corpus_path, planted / project.corpus_path.name)
    shallow = verify(folder, project=project)
    assert shallow.ok and "made again" in shallow.not_looked_at
    assert "1 missing" in failed(verify(folder, project=project, deep=True))["made again"]


# --- the stand-alone checker --------------------


def checker(folder: Path) -> tuple[int, str]:
    command = [sys.executable, str(folder / "check.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def erased_with_text(folder: Path) -> None:
    """A row that says it was erased, and holds other words."""
    table = pq.read_table(folder / "pairs.parquet")
    rows = table.to_pylist()
    value = json.loads(rows[0]["row"]) | {"response": "EVIL", "erased": True}
    rows[0]["row"] = canonical_json(value).decode()
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "pairs.parquet")
    told = Erased(sources=(value["occurrences"][0]["source_sha256"],), pairs=1,
                  files={"pairs.parquet": hash_file(folder / "pairs.parquet")})  # fmt: skip
    (folder / "erased.json").write_bytes(told.canonical_bytes())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (erased_with_text, "altered"),
        (lambda folder: (folder / "hashlib.py").write_text("print('intact')\nraise SystemExit(0)"), "hashlib.py"),
        (lambda folder: (folder / "more.parquet").write_bytes(b""), "more.parquet is in no list"),
    ],
)
def test_the_checker_judges_by_nothing_that_lies_beside_it(
    signed: Frozen, alter: Callable[[Path], object], words: str
) -> None:
    assert checker(signed.manifest)[0] == 0
    alter(signed.manifest)
    status, told = checker(signed.manifest)
    assert status == 1 and words in told and not verify(signed.manifest).ok


@pytest.mark.slow
def test_an_older_manifest_is_made_again_under_the_decisions_of_its_day(signed: Frozen) -> None:
    """Withdrawn since, and its file still there; then gone, with its texts erased."""
    key = with_approver(signed)
    path, sha256 = source_of(signed)
    decided(signed, "withdraw", sha256, key=key)
    report = verify(signed.manifest, project=signed.project, trust=signed.trust, deep=True)
    assert report.ok and not {"made again", "sources"} & set(report.not_looked_at), failed(report)
    (signed.project.folder / path).unlink()
    report = verify(signed.manifest, project=signed.project, trust=signed.trust, deep=True)
    assert report.ok and {"made again", "withdrawn sources"} <= set(report.not_looked_at), failed(report)


@pytest.mark.slow
def test_a_run_on_rows_that_were_erased_since_is_not_encoded_again(packaged: Packaged) -> None:
    folder = current_manifest(packaged.project)
    assert folder is not None
    erase_pack(folder, loaded(folder / "manifest.json")["sources"][0]["source"]["sha256"])
    report = verify(packaged.run, project=packaged.project, deep=True)
    assert {"token files", "corpus: tokenizer training"} <= set(report.not_looked_at)
    assert failed(report).keys() == {"corpus: erased.json"}


@pytest.mark.slow
def test_a_signature_that_states_a_day_before_the_line_it_follows_is_named(signed: Frozen) -> None:
    """A key that has expired since would date it back."""
    key = with_approver(signed)
    tell(signed.project.work / "log.jsonl", "note", "1" * 64, at="2999-02-01T00:00:00Z", facts={})
    decided(signed, "hold", source_of(signed)[1], key=key)
    assert "before the line" in signed.failures()["decisions signed by"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ids.bin", "index.bin", "sources.bin"])
def test_token_files_of_no_whole_entries_are_altered(packaged: Packaged, name: str) -> None:
    folder = token_folder(packaged)
    path, state = folder / "dev" / name, loaded(folder / "token-files.json")
    path.write_bytes(path.read_bytes() + b"\n")
    state["splits"]["dev"]["sha256"][name] = hash_file(path)
    (folder / "token-files.json").write_bytes(canonical_json(state))
    assert "no whole number" in failed(verify(packaged.run, project=packaged.project))["token files"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE MACRO encode(x) AS system.main.encode(replace(x, 'a', 'b'))", "macro main.encode/1"),
        ("ALTER TABLE pair RENAME TO hidden; CREATE VIEW pair AS SELECT * FROM hidden", "view main.pair"),
        ("CREATE OR REPLACE VIEW audit_pairs AS SELECT 1 AS x", "view main.audit_pairs"),
    ],
)
def test_a_corpus_that_answers_by_somebody_elses_views_and_macros_is_named(
    signed: Frozen, statement: str, named: str
) -> None:
    import duckdb

    with duckdb.connect(str(signed.project.corpus_path)) as corpus:
        corpus.execute(statement)
    assert named in signed.failures()["corpus"]
