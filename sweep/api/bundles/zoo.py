"""Lays the networks of a sweep out as a zoo: `<domain>/<task>/<model>/{original | <date>_sp<rate>_<HxW>}/`.

Each folder has the network for other runtimes, the Relax module that was imported, as data and as text, its inputs and
expected outputs, and a manifest with what was measured. A study names such a folder as it names a file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.rows.results import SweepSummary
from sweep.analysis.rows.saved import read_summary
from sweep.errors import StudyError, ToolchainError
from sweep.files.atomic import replacing_folder
from sweep.files.schema_ids import schema_id
from sweep.files.sweep_dir import network_file
from sweep.planning.results.compiling import ImportResult
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import models_in, read_plan
from sweep.running.resuming import damage_of
from sweep.study.importers.zoo_reference import FORMAT, MANIFEST, VERSION, is_zoo_folder

__all__ = ["Placed", "lay_out_zoo"]

ORIGINAL = "original"
_SPARSE = 0.005  # of its weights: below it, zeros are chance
_NAME = re.compile(r"[^A-Za-z0-9._+=-]+")


@dataclass(frozen=True, slots=True)
class Placed:
    """A network in the zoo."""

    model: str
    folder: Path
    weights: int
    """Numbers in kernels and matrices."""
    zeros: int
    rate: float
    """The share of weights that are zero, or gone from what it is made of."""


def lay_out_zoo(
    sweep_dir: Path, root: Path, *, model: str | None, domain: str | None, task: str | None
) -> list[Placed]:
    """Write a folder for each network of a sweep, or for one; a former one of the same name is replaced.

    domain, task: by default what the study's tags of these names say.

    Raises:
        StudyError: they say nothing; there is no such network, or its files are missing or damaged.
    """
    from sweep.record.parquet_tables import read_results

    table = read_results(sweep_dir)
    summary, rows = read_summary(sweep_dir, table.schema.metadata or {}), table.to_pylist()
    place = root / _tag(domain, summary, "domain") / _tag(task, summary, "task")
    plan, done = read_plan(sweep_dir), read_ledger(sweep_dir).done
    imports: dict[str, ImportResult] = {}
    for cell in plan["cells"]:
        results = (done[stage].result for stage in cell["stages"] if stage in done)
        found = next((result for result in results if isinstance(result, ImportResult)), None)
        if found is not None:
            imports.setdefault(cell["model"], found)
    # What variants are made of comes before them: it is the original
    wanted = sorted(
        (name for name in imports if model in (None, name)), key=lambda name: (bool(imports[name].variant), name)
    )
    if not wanted:
        names = ", ".join(sorted({cell["model"] for cell in plan["cells"]}))
        raise StudyError("was not imported", key="--model", value=model or "all", allowed=names)
    placed: list[Placed] = []
    for name in wanted:
        own = [row for row in rows if row["model"] == name]
        root_name, before = _made_of(name, imports)
        about = {"source": models_in(plan).get(name, {}), "made_of": root_name, "weights_before": before}
        placed.append(_placed(place, sweep_dir, name, imports[name], about, own, [one.folder for one in placed]))
    return placed


def _made_of(name: str, imports: Mapping[str, ImportResult]) -> tuple[str, int | None]:
    """The model that a variant comes from in the end, itself where it is none, and how many weights that one has."""
    seen: list[str] = []
    while (of := (imports[name].variant or {}).get("of")) is not None and of not in seen:
        of = str(of)
        seen.append(of)
        if of not in imports:  # excluded from the grid
            return of, None
        name = of
    weights = (imports[name].complexity or {}).get("weights") if seen else None
    return name, weights


def _placed(
    place: Path,
    sweep_dir: Path,
    name: str,
    imported: ImportResult,
    about: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    taken: Sequence[Path],
) -> Placed:
    if imported.files is not None and (why := damage_of(imported, sweep_dir, is_read=True)) is not None:
        raise StudyError(f"cannot be laid out: {why}", file=sweep_dir, key="--model", value=name)
    folder = sweep_dir / imported.folder()
    network = next((network_file(form) for form in imported.formats if (folder / network_file(form)).is_file()), None)
    if network is None:
        problem = "is kept in no form that other runtimes read"
        raise StudyError(
            problem, key="--model", value=name, allowed="a network of one of the formats of `sweep doctor`"
        )
    weights, zeros = _counted(folder)
    measured_t = max((row["measured_t"] for row in rows if row.get("measured_t")), default=time.time())
    rate = _rate(weights, zeros, imported, about["weights_before"])
    variant = _variant(rate, imported, measured_t)
    out = place / _folder_name(about["made_of"]) / variant
    if out in taken or _is_of_another(out, name):
        variant = f"{variant}_{_NAME.sub('-', name)}"
        out = out.with_name(variant)
    if out.exists() and not is_zoo_folder(out):
        raise StudyError("is there and is no folder of a zoo", key="--zoo", value=str(out), allowed="another ROOT")
    with replacing_folder(out) as new:
        for file in sorted(folder.iterdir()):
            shutil.copyfile(file, new / file.name)
        (new / "module.txt").write_text(_text_of(folder), encoding="utf-8")
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(new.iterdir())}
        manifest = {
            "$id": schema_id("zoo", VERSION),
            "format": FORMAT,
            "version": VERSION,
            "model": name,
            "network": network,
            "variant": variant,
            "source": about["source"],
            **({"made_of": about["made_of"], "made": dict(imported.variant)} if imported.variant else {}),
            "inputs": dict(imported.inputs),
            "outputs": [dict(output) for output in imported.outputs],
            "weights": weights,
            "zeros": zeros,
            "sparse_rate": round(rate, 4),
            "cells": [_cell(row) for row in rows],
            "files": files,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
        (new / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return Placed(name, out, weights, zeros, rate)


def _folder_name(network: str) -> str:
    """Of a network: one name, which leads nowhere else whatever the sweep calls it."""
    name = _NAME.sub("-", network)
    return name if name.strip(".") else "network"


def _rate(weights: int, zeros: int, imported: ImportResult, before: int | None) -> float:
    """Share of the weights of what it is made of that are gone or zero."""
    if before and imported.complexity is not None:
        return max(0.0, 1 - float(imported.complexity["nnz"]) / before)
    left = (weights - zeros) / weights if weights else 1.0
    return 1 - left * (1 - float((imported.variant or {}).get("removed") or 0.0))


def _is_of_another(out: Path, name: str) -> bool:
    """Whether a folder of a zoo has another network, which came to the same rate on the same day."""
    if not is_zoo_folder(out):
        return False
    return bool(json.loads((out / MANIFEST).read_text(encoding="utf-8")).get("model") != name)


def _variant(rate: float, imported: ImportResult, measured_t: float) -> str:
    if rate < _SPARSE:
        return ORIGINAL
    shape = next((one["shape"] for one in imported.inputs.values() if len(one["shape"]) == 4), None)
    if shape is None:
        size = "x".join(map(str, next(iter(imported.inputs.values()), {"shape": []})["shape"])) or "scalar"
    else:  # channels come first in most formats; where they come last they are the fewest
        size = "x".join(map(str, shape[2:] if shape[3] > 4 or shape[1] <= 4 else shape[1:3]))
    return f"{time.strftime('%Y%m%d', time.gmtime(measured_t))}_sp{100 * rate:.0f}_{size}"


def _counted(folder: Path) -> tuple[int, int]:
    """Numbers, and how many are zero, of the kernels and matrices that lie beside the module."""
    import numpy as np

    from sweep.toolchain.module_files import constants_of

    weights = zeros = 0
    for value in constants_of(folder):
        if value.ndim >= 2:
            weights += math.prod(value.shape)
            zeros += int(value.size - np.count_nonzero(value))
    return weights, zeros


def _text_of(folder: Path) -> str:
    from sweep.toolchain.module_files import module_text

    try:
        return module_text(folder)
    except (ToolchainError, OSError, ValueError) as error:
        raise StudyError(f"cannot be laid out: {error}", file=folder / "module.json") from error


def _cell(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("cell_name", "cell_id", "runtime", "status", "device", "latency_ms_median", "output_max_abs_diff")
    return {name: row[name] for name in shown if row.get(name) is not None}


def _tag(given: str | None, summary: SweepSummary, name: str) -> str:
    said = given or summary.tags.get(name)
    if said is None:
        raise StudyError("is missing", key=f"--{name}", allowed=f"a word, or the tag `{name}` of the study")
    word = _NAME.sub("-", said).strip("-.")
    if not word:
        raise StudyError("is no name of a folder", key=f"--{name}", value=said, allowed="letters, digits and dashes")
    return word
