"""A signed package: whatever is done to it is found and named. (Another tool reads it in tests/release.)"""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from alterations import ALTERATIONS, reseal, resealed

from hrmbuild.audit.checks import VerifyReport
from hrmbuild.audit.keys import PrivateKey, new_key, read_private_key
from hrmbuild.audit.trust import Trust, read_trust
from hrmbuild.fingerprint import canonical_json
from hrmbuild.packaging.signature import SIGNATURE_NAME
from hrmbuild.packaging.verify import read_package_manifest, verify_package
from hrmbuild.packaging.write import PackageContents, Signing, write_package

SIGNED_AT = "2026-06-01T10:00:00Z"


@dataclasses.dataclass(frozen=True)
class Signed:
    """A signed package, its key and who trusts it."""

    folder: Path
    key: PrivateKey
    trust: Trust


@pytest.fixture(scope="session")
def signed(contents: PackageContents, package_templates: Path, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    place = tmp_path_factory.mktemp("signed")
    key = read_private_key(new_key("pia", place).private)
    entry = "{person: Pia, roles: [packager], public_key: pia.public.pem, valid_from: 2026-01-01}"
    (place / "trust.yaml").write_text(f"keys:\n  - {entry}\n")
    write_package(contents, place / "tiny", templates=package_templates, signing=Signing(key, SIGNED_AT))
    return Signed(place / "tiny", key, read_trust(place / "trust.yaml", today=date(2026, 11, 22)))


@pytest.fixture
def copy(signed: Signed, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed.folder, tmp_path / "tiny"))


def report_of(folder: Path, trust: Trust | None) -> VerifyReport:
    return VerifyReport("package", str(folder), verify_package(folder, trust=trust))


def failed(folder: Path, trust: Trust | None) -> dict[str, str]:
    return {check.name: check.detail for check in report_of(folder, trust).checks if not check.ok}


def test_a_signed_package_is_intact_and_authentic_and_says_by_whom(signed: Signed) -> None:
    report = report_of(signed.folder, signed.trust)
    assert (report.ok, report.intact, report.authentic) == (True, True, True)
    told = {check.name: check.detail for check in report.checks}
    assert told["signed by"].startswith("Pia (") and told["provenance signed by"].startswith("Pia (")
    assert report_of(signed.folder, None).authentic is None


def test_an_unsigned_package_is_intact_and_with_a_trust_file_not_authentic(
    written_package: Path, signed: Signed
) -> None:
    assert report_of(written_package, None).authentic is None
    report = report_of(written_package, signed.trust)
    assert (report.intact, report.authentic, report.ok) == (True, False, False)
    assert failed(written_package, signed.trust) == {"signed by": "nobody: there is no model.sig"}


def test_with_and_without_a_key_the_content_root_is_one(
    signed: Signed, written_package: Path, contents: PackageContents, package_templates: Path, tmp_path: Path
) -> None:
    again = Signing(signed.key, "2026-06-02T00:00:00Z")
    write_package(contents, tmp_path / "again", templates=package_templates, signing=again)
    folders = (signed.folder, written_package, tmp_path / "again")
    assert len({read_package_manifest(folder).content_root for folder in folders}) == 1
    assert (signed.folder / "provenance.dsse.json").is_file() and (written_package / "provenance.json").is_file()


def test_the_provenance_names_what_went_in_and_claims_no_level(written_package: Path) -> None:
    value = json.loads((written_package / "provenance.json").read_bytes())
    definition = value["predicate"]["buildDefinition"]
    named = {one["name"] for one in definition["resolvedDependencies"]}
    assert named >= {"corpus_manifest", "run_config", "run_metrics", "trained_weights", "packaging_code"}
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    assert "level" not in json.dumps(value).lower() and "2026" not in json.dumps(value["predicate"]["runDetails"])


@pytest.mark.parametrize("number", range(len(ALTERATIONS)))
def test_whatever_is_done_to_a_signed_package_is_found_and_named(copy: Path, signed: Signed, number: int) -> None:
    check_alteration(copy, signed, number)


@pytest.mark.slow
def test_three_hundred_alterations_are_all_found_and_named(signed: Signed, tmp_path: Path) -> None:
    for number in range(300):
        folder = Path(shutil.copytree(signed.folder, tmp_path / str(number) / "tiny"))
        check_alteration(folder, signed, number)
        shutil.rmtree(folder.parent)


def check_alteration(folder: Path, signed: Signed, number: int) -> None:
    alter = ALTERATIONS[number % len(ALTERATIONS)]
    words = alter(folder, number)
    told = failed(folder, signed.trust)
    shown = " ".join(f"{name}: {detail}" for name, detail in told.items())
    assert told and any(word in shown for word in words), (alter.__name__, words, told)


def test_another_packages_signature_does_not_fit(
    copy: Path, signed: Signed, contents: PackageContents, package_templates: Path, tmp_path: Path
) -> None:
    other = dataclasses.replace(contents, receipts={"seconds": 1})
    signing = Signing(signed.key, SIGNED_AT)
    write_package(other, tmp_path / "other", templates=package_templates, signing=signing)
    shutil.copy(tmp_path / "other" / SIGNATURE_NAME, copy)
    assert "receipts.json is not what was signed" in failed(copy, None)[SIGNATURE_NAME]
    shutil.copy(tmp_path / "other" / "receipts.json", copy)
    reseal(copy)
    assert SIGNATURE_NAME in failed(copy, signed.trust)


def test_a_signature_that_leaves_a_path_out_is_refused_even_from_a_trusted_key(copy: Path, signed: Signed) -> None:
    bundle = json.loads((copy / SIGNATURE_NAME).read_bytes())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["serialization"]["ignore_paths"].append(".github")
    data = canonical_json(payload)
    kind = b"application/vnd.in-toto+json"
    signature = signed.key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(data), data))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(data).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    (copy / SIGNATURE_NAME).write_bytes(canonical_json(bundle) + b"\n")
    assert failed(copy, signed.trust) == {SIGNATURE_NAME: "it leaves out more than itself"}


def test_several_faults_do_not_hide_one_another(copy: Path, signed: Signed) -> None:
    resealed(copy, 1)
    (copy / ".github").mkdir()
    (copy / ".github" / "x").write_text("x")
    (copy / "probe.json").unlink()
    told = failed(copy, signed.trust)
    assert told.keys() >= {"file probe.json", "probe", "no other file", SIGNATURE_NAME, "content_root"}
    assert ".github/x" in told["no other file"] and "README.md is not what was signed" in told[SIGNATURE_NAME]
