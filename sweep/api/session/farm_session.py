"""Farm up, and this process off the devices' cores, for as long as anything is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.files.private_folder import make_ours
from sweep.files.sweep_dir import SweepDir
from sweep.study.cluster.cluster import Cluster

if TYPE_CHECKING:
    from sweep.engine.kept_engine import Footing
    from sweep.engine.site import Site

__all__ = ["running_farms_dir", "workplace"]


def running_farms_dir() -> Path:
    """Where runs say that they have a farm up."""
    from sweep.engine.site import cache_dir

    return cache_dir() / "farms" / "of-runs"


@contextmanager
def workplace(
    cluster: Cluster, sweep_dir: Path, meanwhile: Callable[[Sequence[int]], object] = lambda cores: None
) -> Iterator[tuple[Site, Footing]]:
    """The site of a cluster file's devices, and the farm that it rests on.

    `meanwhile` brings up what else is needed while the servers load TVM on the devices' cores: it is called on the
    cores that it is given, those of search and build.

    Raises:
        DeviceLost: the tracker or a local server does not come up.
        StudyError: another user has the folder of the locks.
    """
    from sweep.devices.farm.farm import Farm
    from sweep.devices.farm.farm_registry import announced
    from sweep.devices.leasing.register import remove_idle
    from sweep.engine.kept_engine import Footing
    from sweep.engine.site import Site, cache_dir, compile_cores_of, host_lock_dir, lent_cores_of

    make_ours(cache_dir(), "XDG_CACHE_HOME")
    compile_cores, shares_cores = compile_cores_of(cluster)
    lent_cores = lent_cores_of(cluster)
    farm = Farm(cluster, SweepDir(sweep_dir).farm)
    remove_idle(host_lock_dir())
    with ExitStack() as closing:
        closing.callback(farm.down)
        farm.begin()
        # From here on the driver and all it starts leave the devices' cores alone; builds alone may borrow them
        affinity = os.sched_getaffinity(0)
        os.sched_setaffinity(0, compile_cores)
        closing.callback(os.sched_setaffinity, 0, affinity)
        meanwhile(compile_cores)
        address = farm.up()
        closing.enter_context(announced(running_farms_dir(), cluster.path, farm.state_dir))
        site = Site(
            sweep_dir=sweep_dir,
            lock_dir=host_lock_dir(),
            tracker_host=address.tracker_host,
            tracker_port=address.tracker_port,
            devices={device.key: device for device in cluster.devices},
            compile_cores=compile_cores,
            shares_cores=shares_cores,
            lent_cores=lent_cores,
        )
        yield site, Footing(farm.why_gone, farm.restore)
