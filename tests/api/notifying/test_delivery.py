"""A message is handed over or a few words say why not; nothing waits longer than its limit."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sweep.api.notifying.delivery import post, start


class _Listener(BaseHTTPRequestHandler):
    heard: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).heard.append((self.path, self.headers["Content-Type"], body))
        if self.path == "/slow":
            time.sleep(1)
        self.send_response({"/gone": 410, "/moved": 302}.get(self.path, 204))
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[HTTPServer]:
    _Listener.heard = []
    with HTTPServer(("127.0.0.1", 0), _Listener) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_post_is_json_and_goes_nowhere_else(listener: HTTPServer) -> None:
    at = f"http://127.0.0.1:{listener.server_port}"
    assert post(f"{at}/here", b"{}") is None
    assert post(f"{at}/gone", b"{}") == "answered 410"
    assert post(f"{at}/moved", b"{}") == "answered 302"
    assert _Listener.heard == [(path, "application/json", b"{}") for path in ("/here", "/gone", "/moved")]


def test_a_post_has_a_limit_and_its_trouble_names_no_address(listener: HTTPServer) -> None:
    at = f"http://127.0.0.1:{listener.server_port}/slow"
    assert post(at, b"{}", limit_s=0.2) in ("did not answer in 0.2 s", "was not reached: TimeoutError")
    assert post("http://127.0.0.1:1/secret", b"{}") == "was not reached: ConnectionRefusedError"
    assert post("file:///etc/passwd", b"{}") == "was not reached: URLError"


def test_a_program_gets_the_message_from_the_folder_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "tell.sh").write_text("#!/bin/sh\ncat > told\n")
    (tmp_path / "tell.sh").chmod(0o755)
    assert start(["./tell.sh"], tmp_path, b"{1}") is None
    assert (tmp_path / "told").read_bytes() == b"{1}"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('no such\\nroom')", "ended with 1: no such room"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
        ("import time; time.sleep(60)", "took longer than 1 s and was ended"),
    ],
)
def test_what_a_program_does_wrong_is_told(code: str, told: str, tmp_path: Path) -> None:
    assert start([sys.executable, "-S", "-c", code], tmp_path, b"{}", limit_s=1 if "sleep" in code else 30) == told


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert (start(["no-such-program"], tmp_path, b"") or "").startswith("cannot be started: ")
