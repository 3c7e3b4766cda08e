"""Who reaches the review page and what it answers, at the level of HTTP: no socket, the application is called."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from hrmbuild.errors import InputError, UsageError
from hrmbuild.review import server
from hrmbuild.review.desk import Choice, Desk, Edited, Evidence, Item, refused
from hrmbuild.review.page import STATIC, page
from hrmbuild.review.server import check_libraries, loopback

TOKEN = "a-token-of-this-test"
JSON = ("content-type", "application/json")
Ask = Callable[..., "Answer"]


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def item(name: str) -> Item:
    evidence = Evidence("a.md", "line 1", "Receipts <b>are</b> kept.\u202e", "prose/duty/form_1.j2")
    return Item(name, "What is kept?", "receipts", "receipts", (), {"kind": "prose.duty"}, (evidence,))


def check(item: Item, edited: Edited) -> None:
    if "@" in edited.response:
        raise refused("gate.personal_data", "it names somebody")


@pytest.fixture
def kept() -> list[Choice]:
    return []


@pytest.fixture
def ask(kept: list[Choice]) -> Ask:
    desk = Desk([item("a"), item("b")], record=kept.append, check=check, heading={"project": "small"})
    application = page(desk, token=TOKEN)

    def asked(
        path: str = f"/{TOKEN}/", *headers: tuple[str, str], method: str = "GET", body: bytes | None = None,
        host: str | None = "127.0.0.1:8000",
    ) -> Answer:  # fmt: skip
        told = [("host", host)] if host is not None else []
        told += [("content-length", str(len(body)))] if body is not None else []
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 8000),
            "headers": [(name.encode(), value.encode()) for name, value in (*told, *headers)],
        }  # fmt: skip
        asyncio.run(application(scope, receive, send))
        start, *bodies = sent
        names = {key.decode(): value.decode() for key, value in start["headers"]}
        return Answer(start["status"], names, b"".join(part.get("body", b"") for part in bodies))

    return asked


def decide(ask: Ask, *headers: tuple[str, str], **choice: Any) -> Answer:
    body = json.dumps(choice).encode()
    return ask(f"/{TOKEN}/api/decisions", *(headers or (JSON,)), method="POST", body=body)


def test_the_three_files_and_the_pairs_come_to_whoever_has_the_token(ask: Ask) -> None:
    assert [ask(f"/{TOKEN}/{name}").status for name in ("", "page.js", "page.css", "api/overview")] == [200] * 4
    assert ask(f"/{TOKEN}/api/pairs/a").json["evidence"][0]["text"].endswith("</b> kept.\u202e")
    assert ask(host="localhost:9000").status == ask(host="[::1]:1").status == 200  # ssh -L brings another port


@pytest.mark.parametrize("path", ["/", "", "/api/overview", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/page.js", "/\udcff/", "//"])
def test_without_the_token_nothing_is_told(ask: Ask, path: str) -> None:
    answer = ask(path.encode("utf-8", "surrogateescape").decode("latin-1"))
    assert (answer.status, b"pair" in answer.body) == (403, False)


@pytest.mark.parametrize("host", [None, "evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1:8000/x", ""])
def test_another_name_than_the_machines_own_is_refused(ask: Ask, host: str | None) -> None:
    assert ask(host=host).status == 403
    assert ask(f"/{TOKEN}/", ("host", "evil.example")).status == 403  # a second one


@pytest.mark.parametrize(
    "header", [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site"),
               ("sec-fetch-site", "same-site")],
)  # fmt: skip
def test_another_page_cannot_ask_even_with_the_token(ask: Ask, header: tuple[str, str], kept: list[Choice]) -> None:
    assert ask(f"/{TOKEN}/api/overview", header).status == 403
    assert decide(ask, JSON, header, pair="a", action="accept").status == 403
    assert kept == []


def test_every_answer_forbids_foreign_scripts_frames_and_keeping_a_copy(ask: Ask) -> None:
    for answer in (ask(), ask("/"), ask(f"/{TOKEN}/nothing"), ask(f"/{TOKEN}/", method="POST", body=b"")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_page_has_no_handler_style_or_script_of_its_own_text() -> None:
    html, script = (STATIC / "page.html").read_text(), (STATIC / "page.js").read_text()
    assert re.findall(r"\s(?:on\w+|style)\s*=", html) == []
    assert "http://" not in html + script and "https://" not in html + script
    assert not [
        sink for sink in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(") if sink in script
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(ask: Ask, method: str) -> None:
    assert ask(method=method, body=b"").status == 405
    assert ask(f"/{TOKEN}/api/overview", method=method, body=b"").status == 405


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"pair":1,"action":"accept"}', b'{"pair":"a","action":"edit","edited":{}}', b"\xff",
             b'{"pair":"a","action":"reject","reason":"\\ud800"}', b"[" * 5000],
)  # fmt: skip
def test_a_request_that_is_no_choice_is_a_mistake_and_keeps_nothing(ask: Ask, body: bytes, kept: list[Choice]) -> None:
    answer = ask(f"/{TOKEN}/api/decisions", JSON, method="POST", body=body)
    assert (answer.status, answer.json["error"]["code"], kept) == (400, "review.bad_request", [])


def test_a_choice_comes_as_json_and_is_not_too_long(ask: Ask) -> None:
    assert decide(ask, ("content-type", "text/plain"), pair="a", action="accept").status == 400
    path = f"/{TOKEN}/api/decisions"
    assert ask(path, JSON, method="POST").status == 411
    assert ask(path, JSON, ("content-length", str(2 << 20)), method="POST").status == 413


def test_choices_are_kept_in_order_and_undone_by_another_one(ask: Ask, kept: list[Choice]) -> None:
    assert decide(ask, pair="a", action="accept").json == {
        "state": "accept", "counts": {"accept": 1, "reject": 0, "edit": 0}
    }  # fmt: skip
    assert decide(ask, pair="b", action="reject", reason=" not \n so ").json["state"] == "reject"
    assert decide(ask, pair="a", action="undo").json["state"] is None
    assert [(one.action, one.item.id, one.reason) for one in kept] == [
        ("accept", "a", ""), ("reject", "b", "not so"), ("undo", "a", "")
    ]  # fmt: skip
    assert ask(f"/{TOKEN}/api/overview").json["states"] == [None, "reject"]


def test_what_is_no_whole_choice_says_what_is_missing(ask: Ask, kept: list[Choice]) -> None:
    same = {"instruction": "What is kept?", "response": "receipts", "answer": "receipts"}
    wrong = {
        "reason_required": {"pair": "a", "action": "reject", "reason": "  "},
        "unknown_pair": {"pair": "z", "action": "accept"},
        "unknown_action": {"pair": "a", "action": "burn"},
        "nothing_to_undo": {"pair": "a", "action": "undo"},
        "nothing_edited": {"pair": "a", "action": "edit", "reason": "x", "edited": same},
        "reason_too_long": {"pair": "a", "action": "reject", "reason": "x" * 2001},
    }
    told = {code: decide(ask, **choice).json["error"]["code"] for code, choice in wrong.items()}
    assert told == {code: f"review.{code}" for code in wrong} and kept == []
    answer = decide(ask, pair="a", action="edit", reason="x", edited={**same, "response": "ask ada@small.example"})
    assert (answer.status, answer.json["error"]["code"], kept) == (422, "gate.personal_data", [])


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.4", "example.org", "127.0.0.2", ""])
def test_an_address_that_others_reach_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as raised:
        loopback(address)
    assert raised.value.code == "review.not_loopback" and "ssh -L" in (raised.value.fix or "")
    assert [loopback(own) for own in ("localhost", "127.0.0.1", "::1")] == ["127.0.0.1", "127.0.0.1", "::1"]


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    check_libraries()
    monkeypatch.setattr(server, "_LIBRARIES", ("starlette", "no_such_library_here"))
    with pytest.raises(InputError) as raised:
        check_libraries()
    assert raised.value.code == "review.not_installed" and raised.value.fix == "pip install 'hrmbuild[review]'"
