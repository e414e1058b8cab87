"""One writer of a store at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from sweep.errors import LedgerError
from sweep.storage.store import Store
from sweep.storage.write_claim import WriteClaim
from tests.devices.parts import until


def test_a_second_writer_is_refused_until_the_first_has_ended(place: Callable[[], str]) -> None:
    store = Store(place())
    first = WriteClaim(store)

    with pytest.raises(
        LedgerError, match=r"in use by another `sweep run` \(process [0-9]+ on .*last seen [0-9]+ s ago"
    ):
        WriteClaim(store)
    first.hold()
    first.close()

    WriteClaim(store).close()
    assert store.below("writers") == []


def test_a_writer_of_this_host_that_was_killed_is_gone_at_once(place: Callable[[], str]) -> None:
    store = Store(place())
    WriteClaim(store)
    (claim,) = store.below("writers")
    content = json.loads(store.get(claim.key) or b"")
    store.put(claim.key, json.dumps(content | {"pid": 2**22 + 1}).encode())  # more than any pid

    WriteClaim(store).close()


def test_a_writer_of_another_host_is_gone_when_it_has_shown_no_sign_for_long(place: Callable[[], str]) -> None:
    store = Store(place())
    silent = WriteClaim(store, expiry_s=2.0)
    (claim,) = store.below("writers")
    content = json.loads(store.get(claim.key) or b"")
    store.put(claim.key, json.dumps(content | {"space": "elsewhere"}).encode())
    with pytest.raises(LedgerError, match="in use"):
        WriteClaim(store, expiry_s=2.0)

    taken: list[WriteClaim] = []

    def is_taken() -> bool:
        try:
            taken.append(WriteClaim(store, expiry_s=2.0))
        except LedgerError:
            time.sleep(0.2)
            return False
        return True

    until(is_taken, "a lease that expires")
    with pytest.raises(LedgerError, match="taken over by another `sweep run` after"):
        silent.hold()
    taken[0].hold()


def test_a_sign_of_life_keeps_it(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/{uuid4().hex}")
    lease = WriteClaim(store, expiry_s=0.4)
    (before,) = store.below("writers")

    def is_renewed() -> bool:
        lease.hold()
        return store.below("writers")[0].changed_t > before.changed_t

    until(is_renewed, "a renewal")
