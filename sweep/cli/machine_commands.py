"""The commands about machines: `farm` for the farm of a cluster file, `doctor` for this machine."""

from __future__ import annotations

import json

from sweep.cli.arguments import EXIT_DONE, ClusterArgument, JsonOption, load_cluster
from sweep.cli.speaking import say

__all__ = ["doctor_command", "farm_down", "farm_status", "farm_up"]


def doctor_command(as_json: JsonOption = False) -> int:
    """Look at this machine and installation: what is wrong, and the mend.

    Example: sweep doctor
    """
    from sweep.doctor import run_doctor

    return run_doctor(as_json)


def farm_up(cluster: ClusterArgument = None) -> int:
    """Start tracker and local servers, and keep them until Ctrl-C or `sweep farm down`.

    Where both are others' (`managed: false`), say what is at the tracker.

    Example: sweep farm up
    """
    from sweep.api.commands.farm import farm_up as keep_up
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd():
        keep_up(load_cluster(cluster), say)
    return EXIT_DONE


def farm_status(cluster: ClusterArgument = None, as_json: JsonOption = False) -> int:
    """Show the boards of each key: total, free, leased and by whom, broken, last seen; those of runs too.

    Example: sweep farm status --json
    """
    from sweep.api.commands.farm import farm_status as status_of

    status = status_of(load_cluster(cluster))
    say(json.dumps(status.as_dict(), indent=2) if as_json else status.as_text())
    return EXIT_DONE


def farm_down(cluster: ClusterArgument = None) -> int:
    """Stop what `sweep farm up` started.

    Example: sweep farm down
    """
    from sweep.api.commands.farm import farm_down as take_down

    say(take_down(load_cluster(cluster)))
    return EXIT_DONE
