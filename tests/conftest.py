"""What holds for all tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.side_by_side import SideBySide

# Machines are shared and noisy: how long an example takes says nothing
settings.register_profile("default-suite", deadline=None, max_examples=30)
settings.register_profile("all", deadline=None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else children ignore the Ctrl-C that tests send them


def pytest_configure(config: pytest.Config) -> None:
    """Properties are tried on fewer examples where the slow tests are left out."""
    settings.load_profile("default-suite" if config.option.markexpr == "not slow" else "all")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    """Tests that need the machine to themselves have it, however many workers there are."""
    from tests.side_by_side import SideBySide

    config.option.loadscopereorder = False
    return SideBySide(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let some run once more, and order them for the workers of pytest-xdist, where there are any."""
    from tests.side_by_side import in_order, is_tried_again

    for item in items:
        if is_tried_again(item):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if hasattr(config, "workerinput"):
        items[:] = in_order(items)
