"""Hands a message to a program or to an address, within a time limit; what goes wrong comes back as a few words."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sweep.errors import in_one_line, killed_by

__all__ = ["LIMIT_S", "post", "start"]

LIMIT_S = 30.0
"""For either: a run does not hang at its end because somebody cannot be told."""
_SAID = 300
"""Characters of what a program complained of."""


def start(command: Sequence[str], folder: Path, message: bytes, limit_s: float = LIMIT_S) -> str | None:
    """Run a program with a message on its input: what went wrong, or None. Past its limit it is killed whole."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:  # pipes would wait for grandchildren
        given.write(message)
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C in a terminal ends the run, and this tells of it
            )
        except (OSError, ValueError) as error:
            return f"cannot be started: {in_one_line(error)}"
        try:
            code = process.wait(limit_s)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"took longer than {limit_s:g} s and was ended"
        if code == 0:
            return None
        said.seek(0)
        words = " ".join(said.read(4 * _SAID).decode(errors="replace").split())[:_SAID]
        how = killed_by(code) or f"ended with {code}"
        return f"{how}: {words}" if words else how


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent on arrives as a GET without its message, or where nobody said."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(address: str, message: bytes, limit_s: float = LIMIT_S) -> str | None:
    """Post JSON to an address of http or https: what went wrong, without a word of the address, or None."""
    outcome: list[str | None] = []
    # The time limit of a socket starts anew with each byte that comes
    thread = threading.Thread(target=lambda: outcome.append(_posted(address, message, limit_s)), daemon=True)
    thread.start()
    thread.join(limit_s)
    return outcome[0] if outcome else f"did not answer in {limit_s:g} s"


def _posted(address: str, message: bytes, limit_s: float) -> str | None:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
        _NoRedirect(),
    ):
        opener.add_handler(handler)
    headers = {"Content-Type": "application/json", "User-Agent": "tvm-sweep"}
    try:
        request = urllib.request.Request(address, data=message, headers=headers, method="POST")
        with opener.open(request, timeout=limit_s):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}"
    except Exception as error:  # noqa: BLE001 - in a thread, where any other would be printed whole
        reason = getattr(error, "reason", None)
        return f"was not reached: {type(reason if isinstance(reason, Exception) else error).__name__}"
