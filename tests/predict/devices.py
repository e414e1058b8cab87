"""A made-up device: networks of three families, and what they take on it by a law that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sweep.predict.layer_geometry import LAYER_COLUMNS, LayerGeometry, Variant, stack_layers
from sweep.predict.observations import Observations

LEVELS = (0.0, 10.0, 30.0, 50.0, 60.0, 70.0, 90.0)
BATCHES = (1.0, 4.0, 16.0, 64.0)
NOISE = 0.03


def convolution(inputs: int, outputs: int, kernel: int, size: int, groups: int = 1) -> dict[str, object]:
    return {
        "op": "conv2d", "in_channels": inputs, "out_channels": outputs, "kernel_h": kernel, "kernel_w": kernel,
        "stride": 1, "padding": kernel // 2, "groups": groups, "in_h": size, "in_w": size, "out_h": size, "out_w": size,
    }  # fmt: skip


def dense(inputs: int, outputs: int) -> dict[str, object]:
    return {**convolution(inputs, outputs, 1, 1), "op": "dense"}


def rows_of(network: str, level: float) -> list[dict[str, object]]:
    """The layers of a network of which a share of the channels was pruned away."""

    def kept(channels: int) -> int:
        return max(2, round(channels * (1 - level / 100)))

    rows, before = [], 3
    for depth, channels in enumerate((32, 64, 128, 256)):
        size, width = 56 >> depth, kept(channels)
        if network.startswith("plain"):
            rows += [convolution(before, width, 3, size), convolution(width, width, 3, size)]
        elif network.startswith("bottleneck"):
            rows += [
                convolution(before, width, 1, size),
                convolution(width, width, 3, size),
                convolution(width, 2 * width, 1, size),
            ]
        else:
            rows += [convolution(before, width, 1, size), convolution(width, width, 3, size, width)]
        before = int(rows[-1]["out_channels"])  # type: ignore[call-overload]
        if network.endswith("-deep"):
            rows.append(convolution(before, before, 1, size))
    return [*rows, dense(before, 100)]


NETWORKS = ("plain", "plain-deep", "bottleneck", "bottleneck-deep", "separable", "separable-deep")


def latency_ms(geometry: LayerGeometry, batch: float) -> float:
    """The law: a start of each layer, traffic and arithmetic."""
    traffic = batch * (geometry.inputs.sum() + geometry.outputs.sum()) + geometry.weights.sum()
    return float(0.02 * len(geometry) + 2e-7 * traffic + 1e-8 * batch * geometry.macs.sum())


def device(networks: tuple[str, ...] = NETWORKS, seed: int = 0) -> tuple[dict[Variant, LayerGeometry], Observations]:
    """The layers of all networks at all levels, and their latency with some noise."""
    noise = np.random.default_rng(seed)
    layers = {(name, level): stack_layers(rows_of(name, level)) for name in networks for level in LEVELS}
    keys = [(name, level, batch) for name, level in layers for batch in BATCHES]
    value = [latency_ms(layers[name, level], batch) * np.exp(noise.normal(0, NOISE)) for name, level, batch in keys]
    columns = [np.array(column) for column in zip(*keys, strict=True)]
    return layers, Observations(columns[0], columns[1], columns[2], np.array(value))


def write_tables(folder: Path, networks: tuple[str, ...] = NETWORKS) -> tuple[Path, Path]:
    """The same as two CSV files; one measurement has failed, and one is of a network without layers."""
    layers, observed = device(networks)
    lines = [",".join(LAYER_COLUMNS)]
    for name, level in layers:
        for index, row in enumerate(rows_of(name, level)):
            one = {"network": name, "level_percent": level, "index": index, **row}
            of_dense = ("kernel_h", "kernel_w", "stride", "padding", "groups", "in_h", "in_w", "out_h", "out_w")
            lines.append(
                ",".join("" if row["op"] == "dense" and key in of_dense else str(one[key]) for key in LAYER_COLUMNS)
            )
    (folder / "layers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["network,level_percent,batch,variable,passed,latency_ms,mem_used_mib"]
    rows = zip(observed.network, observed.level_percent, observed.batch, observed.value, strict=True)
    lines += [f"{name},{level},{batch:g},latency,1,{value}," for name, level, batch, value in rows]
    lines += [f"{networks[0]},0,4096,latency,0,,", "unknown,0,1,latency,1,3.0,"]
    (folder / "measurements.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "layers.csv", folder / "measurements.csv"
