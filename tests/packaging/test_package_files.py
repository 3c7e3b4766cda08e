"""The package on disk: what stands in it, what makes two of them equal, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from tiny_package import tiny_contents

from hrmbuild.errors import ConfigError, InputError, UsageError
from hrmbuild.fingerprint import sha256_hex
from hrmbuild.inference.load import load_package
from hrmbuild.packaging.bom import bill_of_materials
from hrmbuild.packaging.card import card_owner, render_card
from hrmbuild.packaging.licenses import SPDX_IDS
from hrmbuild.packaging.tokenizer_files import frozen_tokenizer
from hrmbuild.packaging.verify import read_package_manifest, verify_package
from hrmbuild.packaging.write import PackageContents, write_package
from hrmbuild.tokens.control import CONDITION_TOKENS, CONTROL_TOKENS

FILES = {
    "README.md", "bom.cdx.json", "chat_template.jinja", "config.json", "corpus-manifest.json",
    "generation_config.json", "manifest.json", "model.safetensors", "probe.json", "provenance.json", "receipts.json",
    "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip


def test_the_folder_holds_exactly_the_documented_files(written_package: Path) -> None:
    assert {path.name for path in written_package.iterdir()} == FILES
    manifest = read_package_manifest(written_package)
    assert manifest.files.keys() == FILES - {"manifest.json"}


def test_every_check_of_a_fresh_package_passes(written_package: Path) -> None:
    checks = verify_package(written_package)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 1 + len(FILES) + 9


def test_two_packages_of_equal_runs_have_one_content_root(
    contents: PackageContents, written_package: Path, package_templates: Path, tmp_path: Path
) -> None:
    later = dataclasses.replace(contents, receipts={"seconds": 999, "device": "another"})
    manifest = write_package(later, tmp_path / "again", templates=package_templates)
    first = read_package_manifest(written_package)
    assert manifest.content_root == first.content_root
    differing = {name for name in first.files if first.files[name] != manifest.files[name]}
    assert differing == {"receipts.json"}


def test_other_weights_have_another_content_root(
    contents: PackageContents, written_package: Path, package_templates: Path, tmp_path: Path
) -> None:
    state = {name: tensor.clone() for name, tensor in contents.state.items()}
    state["lm_head.weight"][0, 0] += 1e-4
    changed = dataclasses.replace(contents, state=state)
    manifest = write_package(changed, tmp_path / "changed", templates=package_templates)
    assert manifest.content_root != read_package_manifest(written_package).content_root


def test_an_existing_folder_is_never_overwritten(
    contents: PackageContents, package: Path, package_templates: Path
) -> None:
    before = {path.name: path.read_bytes() for path in package.iterdir()}
    with pytest.raises(UsageError, match="there already") as caught:
        write_package(contents, package, templates=package_templates)
    assert caught.value.code == "package.exists"
    assert {path.name: path.read_bytes() for path in package.iterdir()} == before


def test_a_folder_left_by_a_killed_run_is_replaced(
    contents: PackageContents, package_templates: Path, tmp_path: Path
) -> None:
    left = tmp_path / ".model.incomplete"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    write_package(contents, tmp_path / "model", templates=package_templates)
    assert not left.exists()
    assert all(check.ok for check in verify_package(tmp_path / "model"))


def test_a_place_that_cannot_be_written_is_one_clear_error(
    contents: PackageContents, package_templates: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder", "utf-8")
    with pytest.raises(InputError) as caught:
        write_package(contents, tmp_path / "file" / "model", templates=package_templates)
    assert caught.value.code == "disk.not_writable"


def test_bfloat16_packages_hold_and_answer_with_the_rounded_weights(
    contents: PackageContents, package_templates: Path, tmp_path: Path
) -> None:
    rounded = dataclasses.replace(contents, dtype="bfloat16")
    manifest = write_package(rounded, tmp_path / "half", templates=package_templates)
    assert manifest.weights_sha256 != manifest.trained_weights_sha256
    assert all(check.ok for check in verify_package(tmp_path / "half"))
    weight = load_package(tmp_path / "half").model.lm_head.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, contents.state["lm_head.weight"].bfloat16().float())


def test_the_frozen_tokenizer_can_be_restored(contents: PackageContents, written_package: Path) -> None:
    restored = frozen_tokenizer((written_package / "tokenizer.json").read_bytes())
    assert restored == contents.frozen_tokenizer
    assert sha256_hex(restored) == read_package_manifest(written_package).tokenizer_sha256


def test_the_chat_template_spells_the_control_tokens_right(written_package: Path) -> None:
    text = (written_package / "chat_template.jinja").read_text("utf-8")
    for condition, token in CONDITION_TOKENS.items():
        assert f"'{condition}': '{token}'" in text
    assert {word for word in text.replace("'", " ").split() if word.startswith("<|")} - {"<|"} <= set(CONTROL_TOKENS)


def why_invalid(bom: str) -> object:
    """What CycloneDX's own validator has against a bill of materials; None: nothing."""
    # More than a second to load: it reads grammars.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom)


def test_the_bill_of_materials_is_valid_cyclonedx(written_package: Path) -> None:
    text = (written_package / "bom.cdx.json").read_text("utf-8")
    problem = why_invalid(text)
    assert problem is None, str(problem)
    model = json.loads(text)["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": "corpus"}]


def test_the_card_says_what_auditors_ask_for(written_package: Path) -> None:
    card = (written_package / "README.md").read_text("utf-8")
    for words in (
        "claims-nano 1.0.0", "claims@company.example", "Decisions without a person.", "0.769 to 0.960", "0.400",
        "1.2e13", "not measured", "rules/claims.yaml", "gate.length 4", "token_type_ids", "use_cache=True",
        "trusted text", "shows a\nmechanism",
    ):  # fmt: skip
        assert " ".join(words.split()) in " ".join(card.split()), words
    assert card.startswith("---\nlibrary_name: transformers\n")


@pytest.mark.parametrize(
    ("license_", "lines", "entry"),
    [
        ("Apache-2.0", ["license: apache-2.0"], {"id": "Apache-2.0"}),
        ("mit", ["license: mit"], {"id": "MIT"}),
        ("internal", ["license: other", 'license_name: "internal"'], {"name": "internal"}),
        ("contract: 7", ["license: other", 'license_name: "contract: 7"'], {"name": "contract: 7"}),
    ],
)
def test_a_licence_stands_where_hubs_and_scanners_read_it(
    contents: PackageContents, package_templates: Path, license_: str, lines: list[str], entry: dict[str, str]
) -> None:
    owner = contents.facts.owner.model_copy(update={"license": license_})
    facts = contents.facts.model_copy(update={"owner": owner})
    front = render_card(facts, package_templates).decode("utf-8").split("---\n")[1].splitlines()
    assert [line for line in front if line.startswith("license")] == lines
    bom = bill_of_materials(facts, weights_sha256=sha256_hex(b"weights"), hrmbuild="0.1.0")
    assert bom["metadata"]["component"]["licenses"] == [{"license": entry}]


def test_every_licence_of_the_list_is_one_that_the_bill_of_materials_may_hold(contents: PackageContents) -> None:
    bom = bill_of_materials(contents.facts, weights_sha256=sha256_hex(b"weights"), hrmbuild="0.1.0")
    for name in SPDX_IDS:
        bom["metadata"]["component"]["licenses"] = [{"license": {"id": name}}]
        assert why_invalid(json.dumps(bom)) is None, name


def test_a_card_without_its_owner_is_refused_with_every_missing_field() -> None:
    with pytest.raises(ConfigError) as caught:
        card_owner({"name": "x", "version": "1", "contact": " ", "license": "internal"})
    assert caught.value.code == "package.card_incomplete"
    assert "model.contact, model.excluded_use, model.intended_use" in caught.value.what
    with pytest.raises(ConfigError):
        card_owner(None)


def test_only_hrm_models_can_be_packaged(package_templates: Path, tmp_path: Path) -> None:
    contents = tiny_contents()
    other = dataclasses.replace(contents, config=contents.config.model_copy(update={"arch": "transformer"}))
    with pytest.raises(InputError) as caught:
        write_package(other, tmp_path / "other", templates=package_templates)
    assert caught.value.code == "package.arch_unsupported"
    assert not (tmp_path / "other").exists()
