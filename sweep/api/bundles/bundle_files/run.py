"""Runs the network of this folder on this machine: compares its output with the expected one, and times it.

    python run.py                                    the inputs of this folder, and "output agrees, N ms"
    python run.py --input mine.npz --output out.npz  your own inputs, by the names in manifest.json

From Python: `from run import Network; Network().run(array)`. It needs numpy and apache-tvm, of which the runtime is
enough; manifest.json has the versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPEAT, REPEAT_MS = 10, 100
"""Times taken, and how long each takes at least: the mean over as many calls as that needs."""
_ARCHITECTURES = {"x86_64": "x86-64", "amd64": "x86-64", "arm64": "aarch64"}


class CannotRunError(Exception):
    """The network cannot run here, for a reason that fits into a line."""


def read_manifest(folder=HERE):
    """What is known of the network."""
    return json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))


def check_cpu(manifest):
    """Raise CannotRunError where this CPU lacks what the code needs: it would die of an illegal instruction."""
    cpu, machine = manifest["cpu"], platform.machine().lower()
    here = "arm" if machine.startswith("armv") else _ARCHITECTURES.get(machine, machine)
    if here != cpu["architecture"]:
        raise CannotRunError(f"the library is for {cpu['architecture']}, this machine is {here}")
    flags = _cpu_flags()
    lacking = [name for name, flag in cpu["features"].items() if flag not in flags]
    if flags and lacking:  # where the system lists none, nothing can be said
        raise CannotRunError(f"this CPU lacks {', '.join(lacking)}, which the library needs")


def check_files(manifest, folder=HERE):
    """Raise CannotRunError where a file is missing or another than it was when the bundle was made."""
    for name in (manifest["library"], "inputs.npz", "expected.npz"):
        if name not in manifest["files"]:
            continue
        try:
            content = (Path(folder) / name).read_bytes()
        except OSError as error:
            raise CannotRunError(f"{name} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
            raise CannotRunError(f"{name} is damaged: its sha256 is not that of manifest.json")


class Network:
    """The network, loaded. Raises CannotRunError."""

    def __init__(self, folder=HERE):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        check_cpu(self.manifest)
        check_files(self.manifest, self.folder)
        # Read when the runtime begins its first parallel loop
        os.environ.setdefault("TVM_NUM_THREADS", str(self.manifest["threads"]))
        if "tvm.runtime" not in sys.modules:
            os.environ.setdefault("TVM_USE_RUNTIME_LIB", "1")  # without the compiler it loads in a third of the time
        wanted = f"apache-tvm=={self.manifest['versions']['apache-tvm']} numpy"
        try:
            import numpy
            from tvm import runtime
        except ImportError as error:
            raise CannotRunError(f"{error}: pip install {wanted}") from error
        self._numpy, self._runtime = numpy, runtime
        try:
            library = runtime.load_module(str(self.folder / self.manifest["library"]))
            self._machine = library["vm_load_executable"]()
            self._machine["vm_initialization"](1, 0, 2)  # on the CPU, with memory that is kept between calls
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CannotRunError(f"the library cannot be loaded ({reason}): it is of {wanted}") from error

    def inputs(self):
        """Those of this folder, in the order of the parameters."""
        return self._arrays("inputs.npz", [entry["name"] for entry in self.manifest["inputs"]])

    def expected(self):
        """The outputs that these should give; none where they are not known."""
        if "expected.npz" not in self.manifest["files"]:
            return None
        return self._arrays("expected.npz", [f"output_{index}" for index in range(len(self.manifest["outputs"]))])

    def run(self, *inputs):
        """The outputs for some inputs, as arrays."""
        return [tensor.numpy() for tensor in _flatten(self._machine[self.manifest["entry"]](*self._tensors(inputs)))]

    def times_ms(self, *inputs, repeat=REPEAT, repeat_ms=REPEAT_MS):
        """Times of a call in ms: each the mean over as many calls as `repeat_ms` needs."""
        entry = self.manifest["entry"]
        self._machine["set_input"](entry, *self._tensors(inputs))
        timer = self._machine.time_evaluator(
            "invoke_stateful", self._runtime.cpu(), number=1, repeat=repeat, min_repeat_ms=repeat_ms
        )
        return [seconds * 1e3 for seconds in timer(entry).results]

    def _tensors(self, inputs):
        entries = self.manifest["inputs"]
        if len(inputs) != len(entries):
            raise CannotRunError(f"{len(inputs)} given as inputs; it takes {', '.join(e['name'] for e in entries)}")
        return [self._tensor(value, entry) for value, entry in zip(inputs, entries, strict=True)]

    def _tensor(self, value, entry):
        array = self._numpy.ascontiguousarray(value, dtype=entry["dtype"])
        if list(array.shape) != entry["shape"]:
            raise CannotRunError(f"input {entry['name']} has shape {list(array.shape)}; it takes {entry['shape']}")
        return self._runtime.tensor(array)

    def _arrays(self, file, names):
        with self._numpy.load(self.folder / file) as stored:
            return [stored[name] for name in names]


def difference(outputs, expected, tolerance, about=()):
    """How far the outputs are from the expected ones at most, and whether that is within the tolerance.

    That is a share of the largest value expected, and of the length as a vector; none where any difference is allowed.
    Integers are equal, or within a step where they are quantised; floats that are made of such ones may be off by a
    step of these; one value of a hundred by four. NaN and infinities are where they are expected. about: the outputs in
    the manifest.
    """
    worst, agrees = 0.0, len(outputs) == len(expected)
    for index, (output, wanted) in enumerate(zip(outputs, expected, strict=False)):
        if output.shape != wanted.shape:
            return float("inf"), False
        apart, is_within = _apart(output, wanted, tolerance, about[index] if index < len(about) else {})
        worst, agrees = max(worst, apart), agrees and is_within
    return worst, agrees


def _apart(output, wanted, tolerance, about):
    import numpy

    is_integer = wanted.dtype.kind in "biu"
    half = 10 / 1024 if "float16" in (str(output.dtype), str(wanted.dtype)) else 0.0
    given, expected = (values.astype("float64").ravel() for values in (output, wanted))
    unlike = (given != expected) & ~(numpy.isnan(given) & numpy.isnan(expected))
    if not (numpy.isfinite(given) & numpy.isfinite(expected))[unlike].all():
        return float("inf"), False
    is_finite = numpy.isfinite(expected)
    given, expected = given[is_finite], expected[is_finite]
    with numpy.errstate(over="ignore"):
        difference = given - expected
    apart = float(numpy.abs(difference).max(initial=0.0))
    if tolerance is None:
        return apart, True
    share, step = max(tolerance, half, about.get("tolerance", 0.0)), about.get("step", 0.0)
    most = float(numpy.abs(expected).max(initial=0.0))
    bound = 0 if is_integer else share * (most + 1e-3)
    step = (1 if about.get("is_quantised") else 0) if is_integer else step
    off = numpy.abs(difference)
    difference = numpy.maximum(off - step, 0.0)
    if step and apart <= 4 * step + bound and numpy.count_nonzero(difference > bound) <= 0.01 * off.size:
        difference = numpy.where(difference > bound, 0.0, difference)  # rounded the other way deep inside
    if is_integer:
        return apart, not difference.any()
    if not difference.max(initial=0.0) <= share * (most + 1e-3):
        return apart, False
    scale = most if most > 1e100 else 1.0  # the squares of larger ones are beyond what a double holds
    length, floor = numpy.linalg.norm(expected / scale), 1e-3 * len(expected) ** 0.5 / scale
    return apart, bool(numpy.linalg.norm(difference / scale) <= share * (length + floor))


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the network of this folder, compare its output, and time it.")
    parser.add_argument("--input", metavar="FILE", help="npz file with inputs by name, instead of those of this folder")
    parser.add_argument("--output", metavar="FILE", help="npz file for the outputs")
    parser.add_argument("--cores", metavar="N,N", help="cores to run on, as the measurement had its own")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="times taken (default %(default)s)")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except CannotRunError as error:
        sys.stderr.write(f"run.py: {error}\n")
        return 2


def _run(options):
    if options.cores:
        os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
    network = Network()
    inputs, expected = network.inputs(), network.expected()
    if options.input:
        inputs, expected = _own_inputs(options.input, network.manifest["inputs"]), None
    outputs = network.run(*inputs)
    if options.output:
        import numpy

        numpy.savez(options.output, **{f"output_{index}": value for index, value in enumerate(outputs)})
    for index, value in enumerate(outputs):
        first = " ".join(f"{number:.6g}" for number in value.ravel()[:5].tolist())
        print(f"output {index}: {value.dtype} {list(value.shape)}: {first}{' ...' if value.size > 5 else ''}")
    verdict, code = "output not compared", 0
    if expected is not None:
        worst, agrees = difference(outputs, expected, network.manifest["tolerance"], network.manifest["outputs"])
        verdict = "output agrees" if agrees else f"output DIFFERS by up to {worst:.3g}"
        code = 0 if agrees else 1
    median_ms = statistics.median(network.times_ms(*inputs, repeat=options.repeat))
    latency = network.manifest["latency"]
    print(f"{verdict}, {median_ms:.4g} ms{_of_new_processes(latency.get('new_process'))}")
    print(f"measured before: {latency['text']}")
    return code


def _of_new_processes(told):
    """Where the time of a new process lies on the machine that measured it; empty where that is not known."""
    if not told:
        return ""
    return f" (interval of this library in new processes: {told['low_ms']:.4g} to {told['high_ms']:.4g})"


def _own_inputs(path, entries):
    import numpy

    try:
        with numpy.load(path) as stored:
            missing = [entry["name"] for entry in entries if entry["name"] not in stored.files]
            if missing:
                raise CannotRunError(f"{path} lacks {', '.join(missing)}; it has {', '.join(stored.files)}")
            return [stored[entry["name"]] for entry in entries]
    except (OSError, ValueError) as error:
        raise CannotRunError(f"{path} cannot be read: {error}") from error


def _flatten(outputs):
    if hasattr(outputs, "numpy"):
        return [outputs]
    return [tensor for field in outputs for tensor in _flatten(field)]


def _cpu_flags():
    """What Linux says that this CPU can do; empty where it does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return set()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "features"):
            return set(value.split())
    return set()


if __name__ == "__main__":
    sys.exit(main())
