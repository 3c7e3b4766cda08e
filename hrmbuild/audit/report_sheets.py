"""Sections of the audit report that follow forms of others, its lineage, and what it cannot tell.

Owns those values. Public summary: the sections of the European Commission's template for the public summary of training
content of general-purpose AI models (24 July 2025). Datasheet: the sections of Gebru et al. 2021, Communications of the
ACM 64:12. Both are shaped like the form and claim nothing: what the corpus does not record is said to be not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hrmbuild.audit.report_input import ReportInput
from hrmbuild.records.included import IncludedSource, told_names
from hrmbuild.records.manifest import SourceEntry

UNKNOWN = "not recorded"
_CONTRACT = "contract:"
_DERIVATIONS = {
    "quoted": "the answer stands in the source, word for word",
    "queried": "the answer is the result of a query over the rows shown",
    "evaluated": "the answer was computed by the rules shown",
    "absent": "the answer was taken out of what is shown; the response says what is missing",
    "imported": "question and answer stood in a file of pairs",
    "written_by_person": "a person wrote or changed the text in a review",
    "written_by_model": "a language model wrote the text",
}


def lineage(given: ReportInput) -> dict[str, Any]:
    """Where every token comes from, and who wrote it."""
    manifest = given.manifest
    by = given.facts.by.get("derivation", {}) if given.facts else {}
    made_from = "the train split of this corpus" if manifest.tokenizer.trained_on == "train_split" else "elsewhere"
    made_from += "".join(f" and of {one.name}" for one in manifest.includes or ())
    return {
        "lineage": manifest.lineage,
        "complete": manifest.lineage == "complete",
        "tokenizer_from": made_from,
        "vocab_size": manifest.tokenizer.vocab_size,
        "includes": [
            {
                "name": one.name,
                "content_root": one.content_root,
                "lineage": one.lineage,
                "taken": one.taken.pairs,
                "left_out": dict(one.left_out),
                "path": entry.source.path,
                "owner": entry.source.owner,
                "license": entry.source.license,
                "maker": entry.source.maker,
                "label": entry.source.label,
                "pairs": entry.count.pairs,
            }
            for one in manifest.includes or ()
            for entry in one.sources
        ],
        "derivations": [
            {"derivation": name, "meaning": _DERIVATIONS.get(name, ""), "pairs": n} for name, n in sorted(by.items())
        ],
        "written_by_model": by.get("written_by_model", 0) if given.facts else None,
        "written_by_person": by.get("written_by_person", 0) if given.facts else None,
        "files_by_model": sum(one.count.pairs for one in _trained(given) if one.source.maker == "model"),
        "books": dict(sorted(given.facts.by.get("book", {}).items())) if given.facts else {},
        "conditions": dict(sorted(given.facts.by.get("condition", {}).items())) if given.facts else {},
    }


def _trained(given: ReportInput) -> tuple[SourceEntry | IncludedSource, ...]:
    """Own files, and included ones."""
    return (*given.manifest.sources, *(entry for one in given.manifest.includes or () for entry in one.sources))


def public_summary(given: ReportInput, value: dict[str, Any]) -> list[dict[str, Any]]:
    """Sections with rows of (heading, text)."""
    about, model = value["about"], dict(given.model or {})
    included = value["included"]
    sources, by_model = _trained(given), value["lineage"]["files_by_model"]
    more = f"; {included['tokens']:,} tokens in {included['pairs']:,} pairs of included corpora" if included else ""
    contract = [one for one in sources if (one.source.license or "").startswith(_CONTRACT)]
    own = [one for one in sources if one.source.license in (None, "internal")]
    public = [one for one in sources if one not in contract and one not in own]
    written = value["lineage"]["written_by_model"]
    personal = value["personal_data"]
    return [
        _section("1", "General information", [
            ("1.1 Provider", f"contact: {model.get('contact', UNKNOWN)}"),
            ("1.2 Model", f"{model.get('name', UNKNOWN)}, version {model.get('version', UNKNOWN)}; corpus "
             f"{about['name']}"),
            ("1.3 Modality and size", f"text; {about['tokens']['total']:,} tokens in {about['pairs']:,} pairs{more}"),
            ("1.3 Latest date of content", _latest(sources)),
            ("1.3 Languages, regions", UNKNOWN),
        ]),
        _section("2", "List of data sources", [
            ("2.1 Publicly available datasets", f"under a licence with a public name: {_files(public)}. Whether they "
             "can be had publicly is not recorded."),
            ("2.2 Private datasets obtained from third parties", f"under a contract: {_files(contract)}"),
            ("2.3 Data crawled and scraped from online sources", f"hrmbuild reads declared files, no network; whether "
             f"somebody crawled such a file is {UNKNOWN}"),
            ("2.4 User data", "not told apart: what an owner declared as a source is a source"),
            ("2.5 Synthetic data", f"written by a language model: {_number(written)} pairs; in files whose declared "
             f"maker is a model: {by_model:,} pairs. Questions around quoted, queried and computed answers come from "
             "templates and rules, and from no model."),
            ("2.6 Other sources", f"own documents (licence internal, or none declared): {_files(own)}"),
        ]),
        _section("3", "Data processing", [
            ("3.1 Reservation of rights (text and data mining)", f"{UNKNOWN}; each source's licence and owner stand in "
             "the section Sources"),
            ("3.2 Removal of illegal content", "no detector of illegal content was run"),
            ("3.3 Personal data and secrets", f"{_number(personal['masked_words'])} words masked, "
             f"{personal['pairs_rejected']:,} pairs refused for personal data, {value['secrets']['pairs']:,} for "
             "secrets"),
            ("3.3 Other processing", f"{value['rejections']['total']:,} rejections by {len(value['gates'])} gates and "
             "by the readers, each with its reason"),
        ]),
    ]  # fmt: skip


def _section(number: str, title: str, rows: list[tuple[str, str]]) -> dict[str, Any]:
    return {"number": number, "title": title, "rows": [{"heading": name, "text": text} for name, text in rows]}


def _files(entries: Iterable[SourceEntry | IncludedSource]) -> str:
    found = list(entries)
    licenses = sorted({one.source.license for one in found if one.source.license})
    under = f" ({', '.join(licenses)})" if licenses else ""
    return f"{len(found):,} files, {sum(one.count.pairs for one in found):,} pairs{under}" if found else "none"


def _number(n: int | None) -> str:
    return "an unknown number of" if n is None else f"{n:,}"


def _latest(sources: Iterable[SourceEntry | IncludedSource]) -> str:
    days = [day for one in sources for day in (one.source.effective_from,) if day]
    return f"newest declared first day in force: {max(days)}" if days else f"{UNKNOWN}: no source declares a date"


def datasheet(given: ReportInput, value: dict[str, Any]) -> list[dict[str, Any]]:
    """Sections with questions and answers."""
    manifest, model, files = given.manifest, dict(given.model or {}), value["funnel"]["files"]
    owners = ", ".join(row["value"] for row in value["sources"]["owners"])
    held_out = ", ".join(f"{row['split']} {row['pairs']:,}" for row in value["splits"]["rows"])
    return [
        _questions("Motivation", [
            ("For what was it made?", model.get("intended_use", UNKNOWN)),
            ("Who made it, and whom can one ask?", model.get("contact", UNKNOWN)),
        ]),
        _questions("Composition", [
            ("What is an instance?", "a pair: an instruction that shows the deciding text or rows, and its response"),
            ("How many are there?", f"{value['about']['pairs']:,} ({held_out})" + _included(value)),
            ("Is anything missing from them?", f"{value['rejections']['total']:,} rejections and "
             f"{manifest.left_out:,} pairs above the highest label that was let in, all listed"),
            ("How were the splits made?", "drawn by hashes; dev and test are held out by fact, wording, variant or "
             "document"),
            ("Are there errors or duplicates?", f"{value['conflicts']['pairs']:,} contradicting pairs were taken out, "
             f"{value['duplicates']['merged']:,} repeated ones merged; see Sample for errors that a person looked for"),
            ("Does it hold personal data?", _personal(value)),
        ]),
        _questions("Collection", [
            ("From where?", f"{files['found']:,} files that the settings declare, owned by: {owners}"),
            ("Who agreed?", f"licence and owner as declared; consent of persons: {UNKNOWN}"),
            ("Over what time?", _latest(manifest.sources)),
        ]),
        _questions("Processing and labelling", [
            ("What was done?", f"compiled into pairs, then {len(manifest.gates)} gates in a fixed order"),
            ("Are the raw data kept?", "the sources stay where they are; the manifest has their SHA-256"),
            ("Who labelled it?", "answers are quoted, queried, computed or imported; persons only where a "
             "decision says so"),
        ]),
        _questions("Uses", [
            ("For what should it be used?", model.get("intended_use", UNKNOWN)),
            ("For what should it not be used?", model.get("excluded_use", UNKNOWN)),
        ]),
        _questions("Distribution", [
            ("May it leave the house?", f"it carries the label {manifest.label}; licences are listed by source"),
        ]),
        _questions("Maintenance", [
            ("Who maintains it?", model.get("contact", UNKNOWN)),
            ("How is it corrected?", "a source is withdrawn or changed, ingested and frozen anew: another manifest"),
        ]),
    ]  # fmt: skip


def _included(value: dict[str, Any]) -> str:
    told = value["included"]
    names = ", ".join(one["name"] for one in told["corpora"]) if told else ""
    return f"; and {told['pairs']:,} of included corpora ({names}), trained on beside them" if told else ""


def _questions(title: str, rows: list[tuple[str, str]]) -> dict[str, Any]:
    return {"title": title, "rows": [{"question": question, "answer": answer} for question, answer in rows]}


def _word(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else "'" + name.replace("'", "'\\''") + "'"


def _personal(value: dict[str, Any]) -> str:
    personal = value["personal_data"]
    return (
        f"what the detectors found was masked ({_number(personal['masked_words'])} words) or refused "
        f"({personal['pairs_rejected']:,} pairs); names in running text are not found by them"
    )


def limits(given: ReportInput) -> list[str]:
    """What nobody can learn from the report."""
    told = [
        "Whether the sources are true, fair or complete: it says what was read, not what should have been.",
        "Whether the licences and owners are right: they are what the settings declare.",
        "Personal data that has no usual form: names in running text, a number spelt in words, a picture.",
        "What a model does with the corpus: see its card, its scores and its own manifest.",
        "Whether any law is met: it gives evidence for those who judge that.",
        "Whether the pack was altered after this report was made: verify the manifest on the day it matters.",
    ]
    if given.facts is None:
        told.append("Anything about single pairs and rejections: the evidence pack was not at hand.")
    if given.sample is None:
        told.append("How many pairs are wrong: no sample was drawn. An auditor draws one with a nonce of their own.")
    elif given.sample.n_errors is None:
        told.append("How many pairs of the sample are wrong: nobody recorded that they looked.")
    names = told_names(given.manifest.includes or ())
    for root, name in names.items():
        told.append(f"What {name} was made from, what was kept out of it and how many of its pairs are wrong: its own "
                    f"report and sample tell (hrmbuild audit report FOLDER, of the content root {root}; hrmbuild audit "
                    f"sample --base {_word(name)} --nonce WORDS).")  # fmt: skip
    if given.trust is None:
        told.append("Whose keys count: no trust file was given, so signatures are named and not judged.")
    if given.clearance.up_to != given.clearance.labels[-1]:
        told.append(f"Texts with a label above {given.clearance.up_to}: they are counted, not shown.")
    return told
