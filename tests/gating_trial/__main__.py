"""Pairs of sweeps of one study, and of one whose network does 8 % more: how often each is called what it is.

    python -m tests.gating_trial --pairs 20 --out /tmp/trial

Wants a machine with nothing else on it. A pair takes some two minutes. Equal code is SAME by its bytes; what counts
here is what its times alone would have said. Ends with 1 where two equal ones were told apart, or where more than one
slower one of twenty was not found.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import sweep
from sweep.analysis.statistics import Verdict

BLOCKS = 12
"""Of the network; one more is 8.3 % more work."""
STUDY = """
study: trial
models: [{{path: {network}, name: net}}]
tuners: [none]
opt_levels: [1, 3]
"""
CLUSTER = "name: here\nengine: inline\ndevices: [{key: here, cores: [-1]}]\nmlflow: {enabled: false}\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gating_trial")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--turns", type=float, default=0.0, help="minutes to measure each padded pair in turns")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "cluster.yaml").write_text(CLUSTER)
    cluster = sweep.load_cluster(asked.out / "cluster.yaml")
    studies = {}
    for name, blocks in (("plain", BLOCKS), ("padded", BLOCKS + 1)):
        onnx.save(network(blocks), asked.out / f"{name}.onnx")
        (asked.out / f"{name}.yaml").write_text(STUDY.format(network=f"{name}.onnx"))
        studies[name] = sweep.load_study(asked.out / f"{name}.yaml")
    said: dict[str, Counter[str]] = {"equal": Counter(), "padded": Counter(), "in turns": Counter()}
    for pair in range(asked.pairs):
        base, same, padded = (asked.out / f"{kind}-{pair}" for kind in ("base", "same", "padded"))
        for study, folder in ((studies["plain"], base), (studies["plain"], same), (studies["padded"], padded)):
            sweep.run(study, cluster, out=folder)
        for cell in sweep.compare(base, same).cells:
            said["equal"][str(cell.compared.verdict) if cell.compared else "not measured"] += 1
        for cell in sweep.compare(base, padded, only="runtime=tvm").cells:
            said["padded"][str(cell.verdict)] += 1
        if asked.turns:
            found = sweep.compare_sweep_dirs_more(base, padded, cluster, minutes=asked.turns, only="runtime=tvm")
            said["in turns"].update(str(cell.verdict) for cell in found.cells)
        print(f"pair {pair + 1}:", *(f"{kind} {dict(counts)}" for kind, counts in said.items() if counts), flush=True)
    alarms = sum(said["equal"][str(verdict)] for verdict in (Verdict.FASTER, Verdict.SLOWER))
    found = said["in turns" if asked.turns else "padded"]
    missed = sum(found.values()) - found[str(Verdict.SLOWER)]
    print(f"told apart without a difference: {alarms}; slower and not found: {missed} of {sum(found.values())}")
    return int(alarms > 0 or missed > 0.05 * sum(found.values()))


def network(blocks: int) -> onnx.ModelProto:
    """Equal convolutions in a row."""
    draw = np.random.default_rng(0)
    weight = numpy_helper.from_array((draw.normal(size=(32, 32, 3, 3)) * 0.05).astype("float32"), "w")
    nodes, name = [], "data"
    for block in range(blocks):
        nodes.append(helper.make_node("Conv", [name, "w"], [f"c{block}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{block}"], [f"r{block}"]))
        name = f"r{block}"
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, 32, 28, 28]) for end in ("data", name)]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


if __name__ == "__main__":
    sys.exit(main())
