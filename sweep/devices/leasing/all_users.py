"""Keeps sweeps that share no lock files off one core: those of several users of a host, each with its own home.

Whoever measures on a core has a Unix socket with the core's name in the kernel's own name space, which belongs to
nobody's folder: one process alone can have a name, every user can ask for it, and it is free when its holder ends,
however it ends. What two network namespaces have, such as containers', is apart. Linux only.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from sweep.core_sharing import is_frozen
from sweep.errors import DeviceLost

__all__ = ["alone_on_host", "name_of_core"]

_POLL_S = 0.005
_CREDENTIALS = struct.Struct("3i")
"""Process, user and group, as SO_PEERCRED gives them."""


@contextmanager
def alone_on_host(cores: Iterable[int], timeout_s: float) -> Iterator[None]:
    """Hold the names of cores for the time of the block, by who has the locks that go with them.

    Raises:
        DeviceLost: a process with other locks has one for longer than `timeout_s`; it says whose.
    """
    deadline = time.monotonic() + timeout_s
    with ExitStack() as held:
        for core in sorted(set(cores)):
            held.enter_context(_name_of(core, deadline, timeout_s))
        yield


def name_of_core(core: int) -> str:
    """The address of its socket."""
    return f"\0tvm-sweep/measuring/core-{core}"


def _name_of(core: int, deadline: float, timeout_s: float) -> socket.socket:
    own, questions = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), _Questions(core)
    try:
        while True:
            try:
                own.bind(name_of_core(core))
                own.listen()  # so that whoever waits can ask whose it is
                return own
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return own  # a kernel without such names: there is nothing to go by
            holder = questions.holder()
            if holder is not None and _has_lost_it(*holder):
                return own
            if time.monotonic() >= deadline:
                raise DeviceLost(f"core {core} was not free within {timeout_s:g} s: {_told(holder)} measures on it")
            time.sleep(_POLL_S)
    except BaseException:
        own.close()
        raise
    finally:
        questions.close()


def _has_lost_it(pid: int, uid: int) -> bool:
    """Whether it is this process, or one of this user that was stopped and so has lost its lease to us. The name stays
    with it, and keeps others off.
    """
    return pid == os.getpid() or (uid == os.getuid() and is_frozen(pid))


class _Questions:
    """Asks who has a core's name, each holder once: nobody takes the questions, and its queue has room for 129 of all
    who wait.
    """

    def __init__(self, core: int) -> None:
        self._name = name_of_core(core)
        self._asked: socket.socket | None = None

    def holder(self) -> tuple[int, int] | None:
        """Process and user that have the name; None where it is free by now, or does not say."""
        if self._asked is not None and _has_ended(self._asked):
            self.close()
        if self._asked is None:
            asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            asking.setblocking(False)
            if asking.connect_ex(self._name):
                asking.close()
                return None
            self._asked = asking
        told = self._asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(told)
        return pid, uid

    def close(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.close()
            self._asked = None


def _has_ended(asked: socket.socket) -> bool:
    """Whether who was asked has closed the name: it never says a word."""
    try:
        asked.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _told(holder: tuple[int, int] | None) -> str:
    if holder is None:
        return "another process"
    pid, uid = holder
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return f"process {pid} of user {user}"
