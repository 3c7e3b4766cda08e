"""A real browser for tests: the system's Chromium without a window, told what to do over a pipe.

The protocol is the browser's own (https://chromedevtools.github.io/devtools-protocol/), JSON ended by a zero byte on
the descriptors 3 and 4 of `--remote-debugging-pipe`: no driver and no library has to be installed beside the browser.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new", "--no-first-run", "--no-default-browser-check", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-sandbox", "--remote-debugging-pipe", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
_KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "ArrowRight": ("ArrowRight", 39, ""),
         "ArrowLeft": ("ArrowLeft", 37, ""), "Tab": ("Tab", 9, "")}  # fmt: skip
LIMIT_S = 30.0


def find_chromium() -> str:
    """The browser's path, or a skip that says what is missing."""
    named = os.environ.get("HRMBUILD_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here ({', '.join(NAMES)}, HRMBUILD_CHROMIUM): see tests/README.md")
    return found


class Page:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from, self._rest, self._n = to_browser, from_browser, b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        """What the browser told unasked: errors of the page, requests that it made."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer."""
        self._n += 1
        message = {"id": self._n, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + LIMIT_S
        while True:
            answer = self._next(until)
            if answer.get("id") == self._n:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, url: str) -> None:
        """Load a page and wait until it stands."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        until = time.monotonic() + LIMIT_S
        while not self.run(script):
            assert time.monotonic() < until, f"it never came: {script}\n{self.run('document.body.innerText')}"
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """What a reader sees of an element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """One key, down and up."""
        name, code, text = _KEYS[key] if key in _KEYS else (key, ord(key.upper()), key)
        known = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 2 if ctrl else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="" if ctrl else text, **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def type(self, text: str) -> None:
        """Words into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        """The size of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of what stands on the screen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def faults(self) -> list[str]:
        """Errors that the page or its policy raised so far."""
        self.run("1")
        told = [one["params"] for one in self.events if one.get("method") == "Runtime.exceptionThrown"]
        logged = [one["params"]["entry"] for one in self.events if one.get("method") == "Log.entryAdded"]
        return [json.dumps(one) for one in told] + [one["text"] for one in logged if one["level"] == "error"]

    def requested(self) -> list[str]:
        """Every address that the page asked for."""
        sent = [one for one in self.events if one.get("method") == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in sent]


@contextmanager
def chromium(profile: Path) -> Generator[Page]:
    """A browser with one empty tab; gone when the block ends."""
    path = find_chromium()
    (near_reads, to_browser), (from_browser, near_writes) = os.pipe(), os.pipe()
    browser_reads, browser_writes = (fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (near_reads, near_writes))
    os.close(near_reads)
    os.close(near_writes)
    command = f'exec 3<&{browser_reads} 4>&{browser_writes}; exec "$@"'
    words = ["bash", "-c", command, "bash", path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(words, pass_fds=(browser_reads, browser_writes), start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    os.close(browser_reads)
    os.close(browser_writes)
    try:
        yield Page(to_browser, from_browser)
    finally:
        os.close(to_browser)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(from_browser)
