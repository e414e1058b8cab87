"""The job that trains a network: made by its importer for one batch, and left as what it learned, by name."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweep.errors import ImportFailed, StudyError, SweepError, in_one_line
from sweep.files.atomic import replacing_folder
from sweep.files.npz import save_arrays
from sweep.registry import attribute_at
from sweep.study.importers.importer_registry import importer_named
from sweep.toolchain.models.loader import Shapes
from sweep.toolchain.models.variants.settled_onnx import settled_onnx
from sweep.toolchain.models.variants.variant_loader import onnx_of, trained_steps, weights_file

if TYPE_CHECKING:
    from sweep.toolchain.training.sparse_training import TrainingData

__all__ = ["train_network"]


def train_network(
    options: Mapping[str, Any], hints: Mapping[str, Any], out_dir: str, earlier_dir: str | None = None
) -> dict[str, Any]:
    """Train a network and write what it learned. Raises ImportFailed.

    earlier_dir: of the training of what it is made of, where that was trained too. A killed attempt leaves a checkpoint
    beside `out_dir`, from which the next goes on to the same network.
    """
    start, out = time.perf_counter(), Path(out_dir)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportFailed("train: torch is not installed here: pip install 'tvm-sweep[torch]'") from error
    from sweep.toolchain.training.onnx_module import OnnxModule
    from sweep.toolchain.training.sparse_training import train

    told = options["variant"]["train"]
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    with replacing_folder(out) as folder:
        number = trained_steps(options["base"])
        for earlier in range(number):
            shutil.copyfile(Path(str(earlier_dir)) / weights_file(earlier), folder / weights_file(earlier))
        size = int(told["batch_size"])
        try:
            model = _model(options, hints, size, earlier_dir)
            data = _data(told, hints, model, size)
            made = train(OnnxModule(model), data, told, int(options.get("seed") or 0), checkpoint)
        except StudyError as error:
            raise ImportFailed(f"train: {error}") from error
        except (SweepError, MemoryError):
            raise
        except Exception as error:
            raise ImportFailed(f"train: {type(error).__name__}: {in_one_line(error)}") from error
        save_arrays(folder / weights_file(number), dict(made.weights))
    checkpoint.unlink(missing_ok=True)
    step, loss, accuracy, sparsity = made.curve[-1]
    return {
        "dir": "/".join(out.parts[-3:]),
        "steps": int(step),
        "samples": len(data.train),
        "test_samples": len(data.test),
        "accuracy": accuracy,
        "loss": loss,
        "sparsity": sparsity,
        "layers": dict(made.layers),
        "curve": made.curve,
        **({"resumed_at": made.resumed_at} if made.resumed_at else {}),
        "train_s": time.perf_counter() - start,
    }


def _model(options: Mapping[str, Any], hints: Mapping[str, Any], batch: int, earlier_dir: str | None) -> Any:
    """The network that is to be trained, in ONNX, for one batch."""
    base = dict(options["base"]) | ({} if earlier_dir is None else {"trained_dir": earlier_dir})
    loader = cast("type", attribute_at(importer_named(base["importer"]).loader))()
    shapes = Shapes(options.get("inputs") or {}, batch, int(options.get("seed") or 0), options.get("batch_dims"), {})
    return settled_onnx(onnx_of(loader, loader.load(Path(hints["path"]), base), shapes))


def _data(told: Mapping[str, Any], hints: Mapping[str, Any], model: Any, batch: int) -> TrainingData:
    from onnx import helper

    from sweep.datasets.preprocessing import NetworkInput
    from sweep.datasets.reading import Wanted, read_samples
    from sweep.toolchain.training.sparse_training import TrainingData

    value = model.graph.input[0].type.tensor_type
    dtype = str(helper.tensor_dtype_to_np_dtype(value.elem_type))
    network = NetworkInput([dim.dim_value for dim in value.shape.dim], dtype)
    train, test = (
        read_samples(told["data"], hints["data_files"], Wanted(split), network) for split in ("train", "test")
    )
    if len(train) < batch:
        raise ImportFailed(f"train: the data set has {len(train)} samples to learn from, and a step takes {batch}")
    return TrainingData(train, test, batch)
