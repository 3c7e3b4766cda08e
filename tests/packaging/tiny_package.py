"""What the tiny package of the tests is made of; also the recipe of the golden package."""

from __future__ import annotations

from pathlib import Path

from hrmbuild.config.model import ModelConfig
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.inference.generate import Prompt
from hrmbuild.model import build_model
from hrmbuild.model.digest import weights_sha256
from hrmbuild.model.weights import fused_state
from hrmbuild.packaging.card_facts import CardFacts, CardOwner, CardScore, CardTraining
from hrmbuild.packaging.provenance import Materials, Origin
from hrmbuild.packaging.write import PackageContents, write_package
from hrmbuild.records.manifest import Count, Manifest, Roots, SourceEntry, TokenizerEntry
from hrmbuild.records.source import Source
from hrmbuild.tokens.tokenizer import train_tokenizer

TEXTS = (
    "A claim above 500 EUR needs a receipt.",
    "Is the claim approved, referred or rejected? The claim is 620 EUR, no receipt.",
    "rejected. Rule R2: above 500 EUR a receipt is needed.",
    "Große Beträge über 10.000 € prüft die Leitung.",
)


def tiny_manifest(tokenizer: bytes) -> Manifest:
    count = Count(pairs=40, instruction_tokens=900, response_tokens=300)
    source = Source(
        path="rules/claims.yaml", sha256=sha256_hex(b"source"), n_bytes=6, kind="rules", format="ruleset",
        declared_by="hrmbuild.yaml:3", owner="claims@company.example", license="internal",
    )  # fmt: skip
    entry = SourceEntry(
        source=source, status="read", records=1, skipped=0, made=44, kept=40, rejected=4,
        reasons={"gate.length": 4}, count=count,
    )  # fmt: skip
    roots = Roots(train=sha256_hex(b"train"), dev=sha256_hex(b"dev"), test=sha256_hex(b"test"))
    return Manifest(
        hrmbuild="0.1.0", name="claims", config_sha256=sha256_hex(b"config"), code_sha256=sha256_hex(b"code"),
        templates_sha256=sha256_hex(b"templates"), seed=0, label="internal", lineage="complete", sources=(entry,),
        splits={"train": count, "dev": count, "test": count}, strata={"rules": count},
        kinds={"rules.outcome": count}, axes={"dev": {"cell": 40}, "test": {"cell": 40}}, gates=(),
        rejections={"gate.length": 4},
        tokenizer=TokenizerEntry(sha256=sha256_hex(tokenizer), vocab_size=300, trained_on="train_split"),
        content_roots=roots, content_root=sha256_hex(b"root"), roots=roots, evidence={},
    )  # fmt: skip


def tiny_facts(manifest: Manifest) -> CardFacts:
    return CardFacts(
        owner=CardOwner(
            name="claims-nano", version="1.0.0", contact="claims@company.example", license="internal",
            intended_use="Answers to questions about the claims rules that are shown.",
            excluded_use="Decisions without a person.",
        ),
        training=CardTraining(
            preset="nano", parameters=12_345, context_tokens=96, steps=120, batch_tokens=4096,
            start="from scratch", learning_rate="0.002", optimizer="Adam-atan2", seed=0,
            hardware="CPU, 2 threads", hours="0.1 h", flops="1.2e13",
            energy="not measured", final_loss="0.412",
        ),
        manifest=manifest,
        lineage="complete",
        scores_of="Exact answers on the dev split; the test split was scored 0 times before.",
        scores=(
            CardScore(slice="all", n=40, exact="0.900", interval="0.769 to 0.960", baselines={"majority": "0.400"}),
            CardScore(slice="axis cell", n=40, exact="0.900", interval="0.769 to 0.960"),
        ),
    )  # fmt: skip


def tiny_contents(*, hidden_size: int = 32, context_tokens: int = 96) -> PackageContents:
    tokenizer = train_tokenizer(list(TEXTS) * 20, vocab_size=300)
    config = ModelConfig(
        vocab_size=512, hidden_size=hidden_size, n_heads=2, head_dim=hidden_size // 2, layers_per_stack=1,
        expansion=1.0, context_tokens=context_tokens,
    )  # fmt: skip
    model = build_model(config)
    model.init_weights(7)
    manifest = tiny_manifest(tokenizer)
    return PackageContents(
        config=config,
        state=fused_state(model),
        dtype="float32",
        frozen_tokenizer=tokenizer,
        corpus_manifest=manifest.canonical_bytes(),
        facts=tiny_facts(manifest),
        receipts={"seconds": 360.5, "device": "cpu"},
        probe_prompts=(Prompt(TEXTS[0]), Prompt(TEXTS[1]), Prompt(TEXTS[3], "synth+cot")),
        prompt_template_sha256=sha256_hex(b"prompt"),
        origin=Origin(
            materials=Materials(
                corpus_manifest=sha256_hex(manifest.canonical_bytes()),
                run_config=sha256_hex(b"run"),
                run_metrics=sha256_hex(b"metrics"),
                trained_weights=weights_sha256(fused_state(model)),
                packaging_code=sha256_hex(b"hrmbuild"),
                corpus_code=manifest.code_sha256,
            ),
            parameters={"preset": "nano", "seed": "0"},
        ),
        step=120,
    )


def write_golden(folder: Path, templates: Path) -> None:
    """How `tests/golden/package-1` was made; run once a format, never again."""
    write_package(tiny_contents(hidden_size=4), folder, templates=templates)
