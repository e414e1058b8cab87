"""Sends a sweep from its folder to a store while a run writes: a thread follows the ledger.

The files that a line names are sent before the line is. The run never waits for the store; while the store is away, the
folder has everything, and the thread sends it when the store is back, or the next run does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sweep.errors import LedgerError, RecordError
from sweep.files.confined import OutsideFolder, below
from sweep.files.sweep_dir import ARTIFACTS, PLAN, RECORDS, STUDY, SweepDir, is_carried, is_shared
from sweep.running.ledger.lines import decode_line
from sweep.storage.commits import CONTENTS, Chain, Commit, StoredFile, key_of
from sweep.storage.restore import sha256_of
from sweep.storage.store import Store
from sweep.storage.write_claim import WriteClaim

__all__ = ["StoreMirror"]

PERIOD_S = 2.0
"""Between two looks at the ledger: what a lost machine may cost."""
_CHANGING_EVERY_S = 30.0
_LONGEST_WAIT_S = 60.0
_AT_THE_END_S = 60.0
"""For a store that is away when the run ends."""
_CHANGING = (STUDY, PLAN)
_SCRATCH = (".", "candidates-")
"""Begin the names of what is in the making."""


class StoreMirror:
    """The thread that sends one folder to a store, until it is closed."""

    def __init__(self, store: Store, lease: WriteClaim, chain: Chain, folder: Path) -> None:
        """`chain`: what the store has; its lines are the beginning of the folder's ledger."""
        self._store, self._lease, self._folder = store, lease, folder
        self._epoch, self._number, self._head = chain.epoch + 1, 0, chain.head
        self._sent_bytes = len(chain.lines)
        self._seq = chain.lines.count(b"\n")
        self._files: dict[str, StoredFile] = dict(chain.files)
        self._contents = {file.key for file in self._files.values() if file.key.startswith(CONTENTS)}
        """What the store has by content: sent once, however many files have it."""
        self._seen: dict[str, tuple[int, int]] = {}
        """Size and time of change of files when they were last looked into."""
        self._next_changing_s = 0.0
        self._lost: LedgerError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="store-mirror", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send the rest.

        Raises:
            RecordError: the store is away; all is in the folder, and the next run sends it.
            LedgerError: another run has taken over.
        """
        self._closing.set()
        self._thread.join()
        if self._lost is not None:
            raise self._lost
        deadline_s = time.monotonic() + _AT_THE_END_S
        while True:
            try:
                self._send(self._changing())
                return
            except RecordError as error:
                if time.monotonic() > deadline_s:
                    text = f"{error}; all of it is in {self._folder}, and the same command sends what is missing"
                    raise RecordError(text) from error
                time.sleep(1.0)

    def _follow(self) -> None:
        wait_s = PERIOD_S
        while not self._closing.wait(wait_s):
            try:
                now_s = time.monotonic()
                is_due = now_s >= self._next_changing_s
                self._send(self._changing() if is_due else [])
                if is_due:
                    self._next_changing_s = now_s + _CHANGING_EVERY_S
                wait_s = PERIOD_S
            except LedgerError as error:
                self._lost = error
                logging.getLogger(__name__).warning("%s; what this one does now stays in %s", error, self._folder)
                return
            except RecordError as error:
                if wait_s == PERIOD_S:
                    logging.getLogger(__name__).warning("the sweep goes on, and is sent later: %s", error)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _send(self, changing: list[str]) -> None:
        """One commit, if there is anything to say."""
        lines = self._new_lines()
        self._lease.hold()
        new: dict[str, StoredFile] = {}
        seen: dict[str, tuple[int, int]] = {}
        for path in [*self._named_by(lines), *changing]:
            if path not in new and (stored := self._stored(path, seen)) is not None:
                new[path] = stored
                self._lease.hold()
        if not lines and not new:
            self._seen.update(seen)
            return
        commit = Commit(self._epoch, self._number, self._head, lines, new)
        key = key_of(self._epoch, self._number)
        self._store.put(key, commit.encode())
        self._seen.update(seen)  # not before: a file that no commit names is not in the store
        self._head, self._number = key, self._number + 1
        self._sent_bytes += len(lines)
        self._seq += lines.count(b"\n")
        superseded = {old.key for path in new if (old := self._files.get(path)) is not None}
        self._files.update(new)
        for old_key in superseded - {file.key for file in self._files.values()}:
            self._store.remove(old_key)
            self._contents.discard(old_key)

    def _new_lines(self) -> bytes:
        """Whole ones, after those that were sent."""
        try:
            with SweepDir(self._folder).ledger.open("rb") as file:
                file.seek(self._sent_bytes)
                data = file.read()
        except FileNotFoundError:
            return b""
        lines = data[: data.rfind(b"\n") + 1]
        first = decode_line(lines[: lines.find(b"\n") + 1])
        if first is not None and first["seq"] != self._seq + 1:
            raise LedgerError(f"{SweepDir(self._folder).ledger} is not what {self._store.name} has of it any more")
        return lines

    def _named_by(self, lines: bytes) -> Iterator[str]:
        """Files of the stages that these lines say are done; a damaged line says nothing."""
        for event in map(decode_line, lines.splitlines(keepends=True)):
            if event is not None and event["event"] == "stage_done":
                for name in ("dir", "records_dir"):
                    if named := event["result"].get(name):
                        yield from self._below(named)

    def _changing(self) -> list[str]:
        """Files that are written to while the sweep goes on."""
        return [*(name for name in _CHANGING if (self._folder / name).is_file()), *self._below(RECORDS)]

    def _below(self, named: str) -> list[str]:
        """What is to be sent of a folder that the ledger names; nothing of this machine's other files."""
        try:
            folder = below(self._folder, named)
        except OutsideFolder as error:
            logging.getLogger(__name__).warning("%s: %r %s: not sent", self._folder, named, error)
            return []
        paths = (str(path.relative_to(self._folder)) for path in folder.rglob("*") if path.is_file())
        return sorted(path for path in paths if is_carried(path) and not _is_scratch(path) and self._is_inside(path))

    def _is_inside(self, path: str) -> bool:
        try:
            below(self._folder, path)
        except OutsideFolder:
            return False
        return True

    def _stored(self, path: str, seen: dict[str, tuple[int, int]]) -> StoredFile | None:
        """Send a file, if the store does not have it as it is; None where there is nothing to say of it.

        `seen` gets its size and time of change.
        """
        file = self._folder / path
        try:
            about = file.stat()
            now = (about.st_size, about.st_mtime_ns)
            if self._seen.get(path) == now:
                return None
            sha256 = sha256_of(file)
            before = self._files.get(path)
            stored = StoredFile(_key(path, sha256), sha256, about.st_size)
            if before != stored and stored.key not in self._contents:
                self._store.send(stored.key, file)
                if sha256_of(file) != sha256:  # it has grown meanwhile: next time
                    if stored.key.startswith(CONTENTS):  # which no commit will name
                        self._store.remove(stored.key)
                    return None
                if stored.key.startswith(CONTENTS):
                    self._contents.add(stored.key)
        except FileNotFoundError:
            return None
        seen[path] = now
        return None if before == stored else stored


def _is_scratch(path: str) -> bool:
    return any(part.startswith(_SCRATCH) for part in Path(path).parts)


def _key(path: str, sha256: str) -> str:
    """What a stage has made is where a person looks for it. What changes is kept by content: a commit that names it
    must find it as it was. So are weights, which many stages share.
    """
    return path if path.startswith(f"{ARTIFACTS}/") and not is_shared(path) else f"{CONTENTS}{sha256}"
