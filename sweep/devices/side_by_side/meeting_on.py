"""How the contenders of a final meet on a device: side by side where it is wanted and can be, else in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.devices.runtimes.duel_on import DuelContender, Meeting, MeetingInTurns
from sweep.devices.side_by_side.core_groups import core_groups, why_in_turns
from sweep.devices.side_by_side.meeting_in_pairs import MeetingInPairs

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Device

__all__ = ["meeting_on"]


def meeting_on(
    device: Device,
    contenders: Sequence[DuelContender],
    timeout_s: float,
    *,
    side_by_side: bool,
    loading_cores: tuple[int, ...],
) -> tuple[Meeting, str | None]:
    """And why it is not side by side, where that was asked for.

    timeout_s: for each heat, loading included. loading_cores: on which what takes turns may load meanwhile.
    """
    threads = max(one.threads for one in contenders)
    refused = why_in_turns(device, threads) if side_by_side else None
    if side_by_side and refused is None:
        groups = core_groups(tuple(device.cores), threads)
        return MeetingInPairs(groups, device.server.env, timeout_s), None
    return MeetingInTurns(tuple(device.cores), timeout_s, loading_cores), refused
