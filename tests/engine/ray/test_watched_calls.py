"""A call into Ray that is watched returns what it comes to, whenever that is."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import pytest

from sweep.engine.ray import watched_calls
from sweep.engine.ray.watched_calls import watched
from sweep.errors import EngineDown


def test_an_answer_that_comes_as_a_wait_for_it_ends_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run died of it: the look at the answer, after the wait, found it there."""

    class Late(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            try:
                return super().result(timeout)
            except TimeoutError:
                while not self.done():
                    time.sleep(0.001)
                raise

    def slow() -> int:
        time.sleep(0.05)
        return 7

    monkeypatch.setattr(watched_calls, "Future", Late)
    monkeypatch.setattr(watched_calls, "_LOOK_EVERY_S", 0.01)
    assert watched(slow, lambda: None) == 7


def test_a_timeout_of_the_call_itself_is_raised() -> None:
    def call() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        watched(call, lambda: None)


def test_a_call_is_left_where_ray_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_calls, "_LOOK_EVERY_S", 0.01)
    with pytest.raises(EngineDown, match="raylet ended"):
        watched(lambda: time.sleep(5.0), lambda: "raylet ended")
