"""`hrmbuild audit absence`: what shows that a withdrawn source is not in the current manifest.

Owns two showings. The source's hash has no place in the sorted tree of the hashes of all sources that were read: its
two neighbours stand side by side there, each with its inclusion proof. And a search of every text of the corpus and of
the pack for the fingerprints of its runs of words, recorded in the log with what it searched and how much it found.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hrmbuild.audit import evidence, merkle
from hrmbuild.audit.erased import erased_row
from hrmbuild.audit.log import LOG_NAME, append
from hrmbuild.audit.manifest import load_manifest_bytes, read_manifest
from hrmbuild.audit.shingles import hashes_of, shingles
from hrmbuild.config.loading import Project
from hrmbuild.errors import AnswerIsNoError, UsageError
from hrmbuild.fingerprint import canonical_json, sha256_hex
from hrmbuild.pipelines.decided import read_decided
from hrmbuild.pipelines.keys import now
from hrmbuild.pipelines.manifests import current_manifest
from hrmbuild.pipelines.withdraw import named_source
from hrmbuild.pipelines.withdrawn_material import withdrawn_sources
from hrmbuild.store.corpus import Corpus


@dataclass(frozen=True)
class Absence:
    """The showing; a plain value."""

    source: str
    manifest_sha256: str
    absent: bool
    """Its hash is none of the sources that the manifest read."""
    n_sources: int
    root: str
    """RFC 6962 root over the sorted hashes of the sources that were read, each once."""
    neighbours: tuple[dict[str, Any], ...]
    """The hash before and the hash after: digest, index, inclusion proof."""
    searched: dict[str, int]
    """Texts that were searched, by where they stand."""
    fingerprints: int
    """Runs of eight words that were looked for; 0: none were kept, so nothing was searched for."""
    hits: tuple[str, ...]
    """Pairs with a text in which one of them stands."""

    @property
    def ok(self) -> bool:
        """Absent, searched for, and not found."""
        return self.absent and self.fingerprints > 0 and not self.hits

    def as_dict(self) -> dict[str, Any]:
        """The keys of `audit absence --json`."""
        return {"ok": self.ok, **asdict(self)}


def absence(project: Project, name: str) -> Absence:
    """Show that a withdrawn source is not in the current manifest, and record the search.

    Raises:
        AnswerIsNoError: `absence.not_withdrawn`.
        UsageError: `audit.no_manifest`, and as `withdraw`.
        InputError: `evidence.unreadable`, `store.*`, `log.*`.
    """
    source, folder = named_source(project, name), current_manifest(project)
    if source.sha256 not in withdrawn_sources(project):
        raise AnswerIsNoError("absence.not_withdrawn", "this source is not withdrawn", where=name,
                              fix="hrmbuild withdraw it first; hrmbuild audit trace shows where it stands")  # fmt: skip
    if folder is None:
        raise UsageError("audit.no_manifest", "no manifest is current here", where=str(project.manifests_folder),
                         fix="run: hrmbuild freeze")  # fmt: skip
    manifest = read_manifest(folder)
    hashes = sorted({bytes.fromhex(one.source.sha256) for one in manifest.sources if one.status == "read"})
    wanted = hashes_of(read_decided(project).sketches.get(source.sha256, ""))
    searched = {"corpus": 0, "pack": 0}
    hits: set[str] = set()
    for where, pair, text in _texts(project):
        searched[where] += 1
        if not wanted.isdisjoint(shingles(text)):
            hits.add(pair)
    leaves = [merkle.leaf(one) for one in hashes]
    found = Absence(
        source.sha256, sha256_hex(load_manifest_bytes(folder)), bytes.fromhex(source.sha256) not in hashes,
        len(hashes), merkle.root(leaves).hex(), tuple(_neighbours(bytes.fromhex(source.sha256), hashes, leaves)),
        searched, len(wanted), tuple(sorted(hits)),
    )  # fmt: skip
    facts = {"source_sha256": source.sha256, "manifest_sha256": found.manifest_sha256, "hits": str(len(hits)),
             "texts": str(sum(searched.values())), "fingerprints": str(len(wanted))}  # fmt: skip
    append(project.work / LOG_NAME, "absence", sha256_hex(canonical_json(found.as_dict())), at=now(), facts=facts)
    return found


def _neighbours(one: bytes, hashes: list[bytes], leaves: list[bytes]) -> Iterator[dict[str, Any]]:
    place = bisect_left(hashes, one)
    for index in (place - 1, place):
        if 0 <= index < len(hashes):
            proof = [step.hex() for step in merkle.proof(leaves, index)]
            yield {"sha256": hashes[index].hex(), "index": index, "proof": proof}


def _texts(project: Project) -> Iterator[tuple[str, str, str]]:
    if project.corpus_path.is_file():
        with Corpus.open(project.corpus_path, read_only=True) as corpus:
            for pair in corpus.pairs():
                places = [one.text for one in pair.occurrences]
                yield "corpus", pair.id, "\n".join([pair.instruction, pair.response, *places])
    folder = current_manifest(project)
    for row in evidence.read_evidence(folder) if folder is not None else ():
        if erased_row(row.row) is None:
            value = row.value
            places = [one["text"] for one in value["occurrences"]]
            yield "pack", row.id, "\n".join([value["instruction"], value["response"], *places])
