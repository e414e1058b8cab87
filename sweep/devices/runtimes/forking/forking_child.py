"""The process that has loaded a runtime's library: `python -m sweep.devices.runtimes.forking.forking_child RUNTIME`.

Its first line on stdout says how many threads it has: only a process of one can be forked. Each line on stdin then is
the orders of a measurement, which a child of its own carries out, pinned to the device's cores; the line that answers
says how that child ended. It ends with its stdin, and its child with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from sweep.devices.measuring.sentinel_kernel import load_local
from sweep.devices.processes import die_with_parent
from sweep.devices.runtimes.child import perform
from sweep.devices.runtimes.opening import named_runtime


def main() -> None:
    """Load, then fork until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print
    named_runtime(sys.argv[1]).warm_up()
    load_local()
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every page it shares with this process
    _say(answers, {"threads": len(list(Path("/proc/self/task").iterdir()))})
    for line in sys.stdin:
        _say(answers, _carried_out(line))


def _carried_out(line: str) -> dict[str, Any]:
    said, complained = os.pipe(), os.pipe()
    own_pid, pid = os.getpid(), os.fork()
    if not pid:
        _live(line, own_pid, said[1], complained[1])
    os.close(said[1])
    os.close(complained[1])
    texts = _read(pid, said[0], complained[0])
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "said": texts[said[0]], "complained": texts[complained[0]]}


def _live(line: str, parent_pid: int, said: int, complained: int) -> NoReturn:
    """The life of a child: neither the end of the interpreter nor that of the library is its own."""
    code = 1
    try:
        die_with_parent(parent_pid)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(said, 1)
        os.dup2(complained, 2)
        perform(json.loads(line))
        code = 0
    except BaseException:  # noqa: BLE001  it is told as an interpreter that ends by it tells it
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _read(pid: int, *pipes: int) -> dict[int, str]:
    """All that comes from a child's pipes; where nobody waits for it any more, it ends and this process too."""
    texts = {pipe: bytearray() for pipe in pipes}
    poll = select.poll()
    poll.register(0, 0)  # tells of the end of stdin alone
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    open_pipes = set(pipes)
    while open_pipes:
        for pipe, _ in poll.poll():
            if pipe == 0:
                os.kill(pid, signal.SIGKILL)
                os._exit(0)
            if chunk := os.read(pipe, 1 << 16):
                texts[pipe] += chunk
                continue
            poll.unregister(pipe)
            os.close(pipe)
            open_pipes.discard(pipe)
    return {pipe: text.decode(errors="replace") for pipe, text in texts.items()}


def _say(answers: Any, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
