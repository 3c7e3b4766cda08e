"""decisions.jsonl: signed where there is a key, told to the log, and nothing in either can be changed unseen."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from hrmbuild.audit.decisions import DECISIONS_NAME, append, chain_problems, decision_checks, mend, read
from hrmbuild.audit.keys import PrivateKey, new_key, read_private_key
from hrmbuild.audit.log import LOG_NAME, read_log
from hrmbuild.audit.log import append as append_to_log
from hrmbuild.audit.trust import Trust, read_trust
from hrmbuild.errors import InputError
from hrmbuild.fingerprint import draw_below
from hrmbuild.records.decision import Action, Decision, Subject

AT = "2026-06-01T10:00:00Z"


def decision(action: Action = "approve", digit: str = "a", person: str = "Ada") -> Decision:
    return Decision(
        action=action, subject=Subject(kind="manifest", sha256=digit * 64), reason="read", at=AT, person=person
    )


@dataclass(frozen=True)
class Desk:
    """A folder with five decisions between two other entries of the log."""

    folder: Path
    ada: PrivateKey
    trust: Trust

    @property
    def path(self) -> Path:
        return self.folder / DECISIONS_NAME

    @property
    def log(self) -> Path:
        return self.folder / LOG_NAME

    def failures(self) -> dict[str, str]:
        checks = decision_checks(read(self.path), read_log(self.log), trust=self.trust)
        return {check.name: check.detail for check in checks if not check.ok}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    ada = read_private_key(new_key("ada", folder).private)
    (folder / "trust.yaml").write_text(
        "keys:\n  - {person: Ada, roles: [approver], public_key: ada.public.pem, valid_from: 2020-01-01}\n"
    )
    path = folder / DECISIONS_NAME
    append_to_log(folder / LOG_NAME, "freeze", "f" * 64, at=AT, facts={})
    for digit in "abc":
        append(path, decision(digit=digit), key=ada)
    append(path, decision("reject", "d"))
    append_to_log(folder / LOG_NAME, "package", "e" * 64, at=AT, facts={})
    append(path, decision("reject", "a"), key=ada)
    return Desk(folder, ada, read_trust(folder / "trust.yaml", today=date(2026, 11, 22)))


@pytest.fixture
def desk(made: Desk, tmp_path: Path) -> Desk:
    for name in (DECISIONS_NAME, LOG_NAME):
        (tmp_path / name).write_bytes((made.folder / name).read_bytes())
    return Desk(tmp_path, made.ada, made.trust)


def test_decisions_stand_in_their_file_and_in_the_log_and_count_as_signed(made: Desk) -> None:
    decisions, log = read(made.path), read_log(made.log)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [one.decision.person for one in decisions.recorded] == ["Ada", "Ada", "Ada", "unauthenticated", "Ada"]
    assert [log.knows(one.decision.action, one.sha256) for one in decisions.recorded] == [True] * 5
    assert decisions.recorded[-1].decision.log_head == log.links[-2]
    assert made.failures() == {}
    told = [check.detail for check in decision_checks(decisions, log, trust=made.trust)]
    assert told == ["5 decisions, each told by log.jsonl", "Ada, 1 unauthenticated"]
    verdicts = [one.judge(made.trust) for one in decisions.recorded]
    assert [verdict.ok for verdict in verdicts] == [True, True, True, False, True]


def test_a_kill_between_the_two_records_and_a_torn_line_are_mended_by_the_next_decision(desk: Desk) -> None:
    whole = desk.log.read_bytes()
    desk.log.write_bytes(whole[: whole[:-1].rindex(b"\n") + 1])
    assert desk.failures() and not list(chain_problems(read(desk.path), read_log(desk.log), may_lack_last=True))
    with desk.path.open("ab") as file:
        file.write(b'{"payload":"half')
    mend(desk.path)
    assert desk.failures() == {} and desk.log.read_bytes() == whole
    append(desk.path, decision(digit="b"), key=desk.ada)
    assert desk.failures() == {} and len(read(desk.path).recorded) == 6
    assert desk.log.read_bytes().startswith(whole)


def byte_of(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    data[draw_below(len(data), "decisions", seed, "byte")] ^= 1 << draw_below(8, "decisions", seed, "bit")
    path.write_bytes(bytes(data))


def a_byte(desk: Desk, seed: int) -> list[str]:
    before = desk.path.read_bytes().split(b"\n")
    byte_of(desk.path, seed)
    after = desk.path.read_bytes().split(b"\n")
    number = next(n for n, (one, other) in enumerate(zip(before, after, strict=False), 1) if one != other)
    return [f"line {number}"]


def a_byte_of_the_log(desk: Desk, seed: int) -> list[str]:
    byte_of(desk.log, seed)
    return ["log.jsonl line"]


def a_line_out(desk: Desk, seed: int) -> list[str]:
    lines = desk.path.read_bytes().splitlines(keepends=True)
    del lines[draw_below(len(lines), "decisions", seed, "line")]
    desk.path.write_bytes(b"".join(lines))
    return ["is not there as it was told"]


def a_line_twice(desk: Desk, seed: int) -> list[str]:
    lines = desk.path.read_bytes().splitlines(keepends=True)
    at, to = (draw_below(len(lines), "decisions", seed, name) for name in ("from", "to"))
    desk.path.write_bytes(b"".join([*lines[:to], lines[at], *lines[to:]]))
    return ["another order than log.jsonl tells, or twice"]


def the_end_of_the_decisions(desk: Desk, seed: int) -> list[str]:
    data = desk.path.read_bytes()
    desk.path.write_bytes(data[: draw_below(len(data), "decisions", seed, "cut")])
    return ["is not there as it was told"]


def the_end_of_the_log(desk: Desk, seed: int) -> list[str]:
    lines = desk.log.read_bytes().splitlines(keepends=True)
    desk.log.write_bytes(b"".join(lines[: draw_below(len(lines), "decisions", seed, "cut")]))
    return ["the log's end was cut off"]


def a_signature_off(desk: Desk, seed: int) -> list[str]:
    """One decision is recorded anew without its signature, and the log with it; later heads do not fit any more."""
    return reseal(desk, spoil=draw_below(3, "decisions", seed, "line"), key=None)


def everything_with_another_key(desk: Desk, seed: int) -> list[str]:
    key = read_private_key(new_key(f"forger{seed}", desk.folder).private)
    reseal(desk, spoil=None, key=key)
    return [key.fingerprint[:16]]


def reseal(desk: Desk, *, spoil: int | None, key: PrivateKey | None) -> list[str]:
    recorded, log = read(desk.path).recorded, read_log(desk.log)
    if spoil is not None:  # only this line, as it would be by hand: the others keep their bytes
        lines = desk.path.read_bytes().splitlines(keepends=True)
        side = desk.folder / "side"
        append(side / DECISIONS_NAME, recorded[spoil].decision)
        lines[spoil] = (side / DECISIONS_NAME).read_bytes()
        desk.path.write_bytes(b"".join(lines))
        return [f"line {spoil + 1} "]
    desk.path.unlink()
    desk.log.unlink()
    decisions = {one.sha256: one.decision for one in recorded}
    for entry in log.entries:
        if entry.sha256 in decisions:
            append(desk.path, decisions[entry.sha256], key=key)
        else:
            append_to_log(desk.log, entry.event, entry.sha256, at=entry.at, facts=entry.facts)
    return []


ALTERATIONS: tuple[Callable[[Desk, int], list[str]], ...] = (
    a_byte, a_byte_of_the_log, a_line_out, a_line_twice, the_end_of_the_decisions, the_end_of_the_log, a_signature_off,
    everything_with_another_key,
)  # fmt: skip


def check_alterations(made: Desk, place: Path, numbers: range) -> None:
    for number in numbers:
        alter = ALTERATIONS[number % len(ALTERATIONS)]
        folder = place / str(number)
        folder.mkdir()
        for name in (DECISIONS_NAME, LOG_NAME):
            (folder / name).write_bytes((made.folder / name).read_bytes())
        desk = Desk(folder, made.ada, made.trust)
        words = alter(desk, number)
        told = " ".join(f"{name}: {detail}" for name, detail in desk.failures().items())
        assert any(word in told for word in words), (alter.__name__, number, words, told)


@pytest.mark.parametrize("last", [80, pytest.param(300, marks=pytest.mark.slow)])
def test_alterations_of_decisions_and_log_are_all_found_and_named(made: Desk, tmp_path: Path, last: int) -> None:
    check_alterations(made, tmp_path, range(last))


def test_nothing_is_added_to_records_that_do_not_hold(desk: Desk) -> None:
    a_line_out(desk, 1)
    before = desk.path.read_bytes()
    with pytest.raises(InputError) as caught:
        append(desk.path, decision(), key=desk.ada)
    assert caught.value.code == "decisions.broken" and desk.path.read_bytes() == before


def test_the_golden_decisions_are_read_counted_and_told_by_their_log() -> None:
    folder = Path(__file__).resolve().parent.parent / "golden" / "decisions"
    trust = read_trust(folder / "trust.yaml", today=date(2026, 11, 22))
    decisions, log = read(folder / DECISIONS_NAME), read_log(folder / LOG_NAME)
    recorded = decisions.recorded
    assert [check.ok for check in decision_checks(decisions, log, trust=trust)] == [True, True]
    assert [(one.decision.action, one.decision.subject.kind, one.keyid is None) for one in recorded] == [
        ("approve", "manifest", False), ("release", "rejection", True), ("withdraw", "source", False),
        ("review_reject", "pair", True),
    ]  # fmt: skip
    assert recorded[1].decision.facts["pair_id"] == "c" * 64 and recorded[0].judge(trust).person == "Ada"
