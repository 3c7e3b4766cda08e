"""`eval`: the table's keys, its counts, its record, and everything that it refuses or must not show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaged_project import Packaged

from hrmbuild.errors import InputError, UsageError
from hrmbuild.pipelines.evaluate import EvaluationRequest, evaluate_package
from hrmbuild.pipelines.package import package
from hrmbuild.pipelines.rule_engine import ENGINE
from hrmbuild.pipelines.scorings import FILE_NAME


def asked(**options: Any) -> EvaluationRequest:
    return EvaluationRequest(**{"split": "test", "most": 6} | options)


def questions(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


QUESTIONS: list[dict[str, object]] = [
    {"id": "1", "group": "a", "question": "Who signed?", "passages": ["Signed: the desk."], "type": "exact",
     "expected": "the desk", "label": "internal"},
    {"id": "2", "group": "a", "question": "How much?", "passages": ["It costs 5 EUR."], "type": "number",
     "expected": "5", "unit": "EUR", "label": "restricted"},
    {"id": "3", "question": "Allowed?", "passages": [{"title": "Rule", "text": "Yes."}], "type": "choice",
     "choices": ["yes", "no"], "expected": "yes", "label": "internal"},
]  # fmt: skip


def test_the_report_has_the_promised_keys_and_its_counts_add_up(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, asked(show=2, most=24, show_label="internal"))
    found = report.as_dict()
    assert found.keys() >= {"exact", "n", "by_axis", "by_stratum", "baselines", "low", "high", "f1"}
    assert found["n"] == min(24, report.n_held_out)
    for heading in ("by_axis", "by_stratum", "by_kind"):
        assert sum(columns["model"]["n"] for columns in found[heading].values()) == found["n"]
    assert found["baselines"].keys() >= {"majority", "nearest", "text removed", ENGINE}
    assert len(report.examples) == 2
    assert all(example.expected for example in report.examples)
    assert found["models"][0]["seconds_per_1000"] > 0 and found["models"][0]["usd_per_1000"] is None
    assert json.loads(json.dumps(found)) == found


def test_scoring_is_repeatable_and_every_look_at_test_is_counted(packaged: Packaged) -> None:
    first = evaluate_package(packaged.project, asked())
    second = evaluate_package(packaged.project, asked())
    assert (first.n_scorings, second.n_scorings) == (1, 2)
    assert first.slices == second.slices
    again = package(packaged.project, out=packaged.project.work / "again")
    assert "scored 2 times" in (again.folder / "README.md").read_text("utf-8")


def test_train_is_no_held_out_split(packaged: Packaged) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate_package(packaged.project, EvaluationRequest(split="train"))
    assert caught.value.code == "eval.unknown_split"


def test_without_its_manifest_a_package_cannot_be_scored(packaged: Packaged) -> None:
    for path in packaged.project.manifests_folder.glob("*/manifest.json"):
        path.unlink()
    with pytest.raises(InputError) as caught:
        evaluate_package(packaged.project)
    assert caught.value.code == "package.manifest_missing"


def test_an_altered_package_is_not_scored(packaged: Packaged) -> None:
    path = packaged.package / "generation_config.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError) as caught:
        evaluate_package(packaged.project, asked())
    assert caught.value.code == "package.altered"
    assert not (packaged.project.work / FILE_NAME).exists()


def test_a_validators_questions_are_counted_apart_by_the_hash_of_their_file(packaged: Packaged) -> None:
    path = questions(packaged.project.work, QUESTIONS)
    report = evaluate_package(packaged.project, asked(questions=path, most=1))
    overall = report.evaluation.overall.columns["model"]
    assert (overall.n, overall.n_clusters, report.n_scorings, report.n_test_scorings) == (3, 2, 1, 0)
    assert {row.name for row in report.slices if row.heading == "kind"} == {
        "questions.exact", "questions.number", "questions.choice"
    }  # fmt: skip
    evaluate_package(packaged.project, asked())
    again = evaluate_package(packaged.project, asked(questions=path))
    assert (again.n_scorings, again.n_test_scorings) == (2, 1)
    lines = [json.loads(line) for line in (packaged.project.work / FILE_NAME).read_text("utf-8").splitlines()]
    assert [line["split"] for line in lines] == ["questions", "test", "questions"]
    assert lines[0]["questions_sha256"] == report.questions_sha256 and "questions_sha256" not in lines[1]


def test_a_label_that_the_project_does_not_have_is_a_bad_line(packaged: Packaged) -> None:
    path = questions(packaged.project.work, [*QUESTIONS, QUESTIONS[0] | {"id": "4", "label": "topmost"}])
    with pytest.raises(InputError) as caught:
        evaluate_package(packaged.project, asked(questions=path))
    assert caught.value.code == "eval.bad_question" and str(caught.value.where).endswith(":4")


def test_texts_above_the_asked_label_stand_nowhere(packaged: Packaged, tmp_path: Path) -> None:
    path = questions(packaged.project.work, QUESTIONS)
    page = tmp_path / "report.html"
    low = evaluate_package(packaged.project, asked(questions=path, show=9, report=page))
    assert low.examples == () and low.examples_label == "public"
    shown = page.read_text("utf-8") + str(low.as_dict()) + (packaged.project.work / FILE_NAME).read_text("utf-8")
    assert "Who signed?" not in shown and "It costs 5 EUR" not in shown
    high = evaluate_package(packaged.project, asked(questions=path, show=9, show_label="internal", report=page))
    assert len(high.examples) == 2
    assert all("not shown: the model's label is confidential" in one.response for one in high.examples)
    assert "Who signed?" in page.read_text("utf-8") and "It costs 5 EUR" not in page.read_text("utf-8")
    with pytest.raises(UsageError):
        evaluate_package(packaged.project, asked(show_label="secret"))


def test_a_demand_is_judged_and_an_unknown_one_scores_nothing(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, asked(require="n>=6, exact>=101%"))
    assert [one.holds for one in report.verdicts] == [True, False] and not report.holds
    for wrong in ("exact[moon]>0", "what>1"):
        with pytest.raises(UsageError):
            evaluate_package(packaged.project, asked(require=wrong))
    assert report.n_scorings == 1
    assert evaluate_package(packaged.project, asked()).n_scorings == 2


def test_extraction_is_measured_where_a_demand_names_it_and_counts_as_no_look_at_test(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, asked(split="dev", require="extraction<=1"))
    assert report.extraction is not None and report.holds
    lines = [json.loads(line) for line in (packaged.project.work / FILE_NAME).read_text("utf-8").splitlines()]
    assert [line["split"] for line in lines] == ["dev", "extraction"]


def test_a_run_and_an_earlier_package_are_asked_the_same(packaged: Packaged) -> None:
    report = evaluate_package(packaged.project, asked(against=(packaged.run, packaged.package)))
    run, earlier = report.models[1:3]
    ours = report.evaluation.overall.columns
    assert (run.what, earlier.what) == ("run, hrm", "package, hrm")
    assert ours[run.name] == ours[earlier.name] == ours["model"]
    assert run.training_flops is not None and run.same_corpus
    with pytest.raises(UsageError) as caught:
        evaluate_package(packaged.project, asked(against=(packaged.project.work / "nothing",)))
    assert caught.value.code == "eval.against_unknown"


def test_the_page_needs_nothing_beside_it(packaged: Packaged, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report = evaluate_package(
        packaged.project, asked(report=page, extraction=True, require="exact>=0.5", show=1, show_label="internal")
    )
    text = page.read_text("utf-8")
    assert report.written == page and text.count('<svg class="chart"') >= 4
    for foreign in ("<script", "http://", "https://", "<link", "<img", "@import", "url("):
        assert foreign not in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text and text.count('role="img"') >= 4
    with pytest.raises(UsageError) as caught:
        evaluate_package(packaged.project, asked(report=tmp_path / "no" / "report.html"))
    assert caught.value.code == "eval.report_place"
