from __future__ import annotations

import io

from rich.console import Console

from sweep.report.live.overlay_view import OverlayView


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def viewed(terminal: bool = False) -> tuple[OverlayView, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=terminal, width=100, legacy_windows=False)
    return OverlayView(console, clock), stream, clock


def test_a_pipe_gets_a_line_now_and_then_and_each_failure_once() -> None:
    view, stream, clock = viewed()
    with view:
        view.begin("candidates", {"a": 3, "b": 1, "c": 0})
        clock.now = 5.0
        view.done("a", "BuildFailed: no\nreally")
        view.done("a", "BuildFailed: no\nreally")
        view.tick()
        clock.now = 10.0
        view.tick()
        view.done("a")
        view.done("b")
        clock.now = 12.0
    assert stream.getvalue().splitlines() == [
        "candidates: 3 on a, 1 on b",
        "failed on a: BuildFailed: no really",
        "so far  2/4 candidates, 2 failed, 10 s so far, about 10 s left",
        "4/4 candidates, 2 failures, 12 s",
    ]


def test_nothing_to_do_says_nothing() -> None:
    view, stream, clock = viewed()
    with view:
        view.begin("candidates", {"a": 0})
        clock.now = 60.0
        view.tick()
    assert stream.getvalue() == ""


def test_an_interruption_says_that_everything_is_kept_and_frees_the_terminal() -> None:
    view, stream, _ = viewed(terminal=True)
    view.__enter__()
    view.begin("contests", {"a": 2})
    view.done("a")
    view.tick()
    view.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    written = stream.getvalue()
    assert "1/2" in written
    assert "interrupted, everything kept" in written
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0  # the cursor is back
