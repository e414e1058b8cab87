"""One farm, one Ray and one of each engine for all tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.study.cluster.cluster import Cluster
from tests.engine.shop import CLUSTER, STUDY, Shop
from tests.networks import write_tiny


@pytest.fixture(scope="package")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(STUDY)
    return folder / "study.yaml"


@pytest.fixture(scope="package")
def cluster_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Cluster]:
    from sweep.study.gate import load_cluster

    def load(engine: str) -> Cluster:
        path = tmp_path_factory.mktemp("cluster") / f"{engine}.yaml"
        path.write_text(CLUSTER.format(engine=engine))
        return load_cluster(path)

    return load


@pytest.fixture(scope="package")
def make_shop(
    study_file: Path, cluster_of: Callable[[str], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Shop]:
    from sweep.planning.planner import make_plan
    from sweep.study.gate import load_study

    def make(name: str, open_engine: Callable[[Cluster, Path], object]) -> Shop:
        cluster, sweep_dir = cluster_of(name), tmp_path_factory.mktemp(name)
        plan = make_plan(load_study(study_file), cluster)
        return Shop(name, open_engine(cluster, sweep_dir), plan, sweep_dir)

    return make


@pytest.fixture(scope="package")
def farm(cluster_of: Callable[[str], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    from sweep.devices.farm.farm import Farm

    with Farm(cluster_of("inline"), tmp_path_factory.mktemp("farm")) as farm:
        address = farm.status().address
        assert address is not None
        yield address.tracker_host, address.tracker_port


@pytest.fixture(scope="package")
def site_of(farm: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Cluster, Path], object]:
    from sweep.engine.site import Site, compile_cores_of, lent_cores_of

    locks = tmp_path_factory.mktemp("locks")

    def site(cluster: Cluster, sweep_dir: Path) -> Site:
        cores, shared = compile_cores_of(cluster)
        devices = {device.key: device for device in cluster.devices}
        return Site(sweep_dir, locks, *farm, devices, cores, shared, lent_cores_of(cluster))

    return site


@pytest.fixture(scope="package")
def inline(make_shop: Callable[..., Shop], site_of: Callable[..., object]) -> Iterator[Shop]:
    from sweep.engine.inline import InlineEngine

    shop = make_shop("inline", lambda cluster, sweep_dir: InlineEngine(site_of(cluster, sweep_dir)))
    yield shop
    shop.engine.close()


@pytest.fixture(scope="package")
def ray(make_shop: Callable[..., Shop], site_of: Callable[..., object]) -> Iterator[Shop]:
    from sweep.engine.ray.ray_engine import RayEngine
    from sweep.engine.ray.ray_session import RaySession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_metrics_report_interval_ms", "500")  # Ray's own 10 s are long to wait for
        session = RaySession(None, 1, {"device:here": 1.0})
    try:
        shop = make_shop("ray", lambda cluster, sweep_dir: RayEngine(site_of(cluster, sweep_dir), session, num_cpus=1))
        yield shop
        shop.engine.close()
    finally:
        session.close()


@pytest.fixture(scope="package")
def simulated(make_shop: Callable[..., Shop]) -> Shop:
    from sweep.engine.simulated import SimulatedEngine

    return make_shop("simulated", lambda cluster, sweep_dir: SimulatedEngine(cluster))


_REAL = [pytest.mark.integration, pytest.mark.tvm]
_ON_RAY = pytest.param("ray", marks=[*_REAL, pytest.mark.ray])
RAY_FIRST = ["simulated", pytest.param("inline", marks=[*_REAL, pytest.mark.slow]), _ON_RAY]
"""For `shop`, where Ray's engine alone shows by default what real ones do."""


@pytest.fixture(params=["simulated", pytest.param("inline", marks=_REAL), _ON_RAY])
def shop(request: pytest.FixtureRequest) -> Shop:
    """Each engine in turn."""
    found: Shop = request.getfixturevalue(request.param)
    return found
