"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# Machines are shared and noisy: how long an example takes says nothing
settings.register_profile("sweep", deadline=None)
settings.load_profile("sweep")
