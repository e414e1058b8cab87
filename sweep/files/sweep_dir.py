"""A sweep directory: the one place that knows the name of everything in it, and what makes a folder one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from sweep.errors import LedgerError, StudyError
from sweep.files.atomic import remove_half_made
from sweep.files.confined import leading_out

__all__ = [
    "ARTIFACTS",
    "LEDGER",
    "OUTPUTS_FILE",
    "PLAN",
    "RECORDS",
    "SELDOM_TABLES",
    "STUDY",
    "TABLES",
    "SweepDir",
    "is_carried",
    "is_shared",
    "is_text",
    "network_file",
    "records_folder",
    "stage_folder",
    "weights_name",
]

OUTPUTS_FILE = "outputs.json"
"""In the folder of an import: name of each output, and whether it is quantised."""
LEDGER, PLAN, STUDY = "ledger.jsonl", "plan.json", "study.yaml"
ARTIFACTS, RECORDS = "artifacts", "records"
TABLES = MappingProxyType(
    {
        "results": "results.parquet",
        "measurements": "measurements.parquet",
        "curves": "tuning_curves.parquet",
        "tasks": "tuning_tasks.parquet",
        "records": "tuning_records.parquet",
    }
)
"""File of each table."""
SELDOM_TABLES = MappingProxyType({"layers": "layer_errors.parquet", "training": "training_curves.parquet"})
"""File of each table that not every sweep has."""

_WEIGHTS = "weights-"
_PROBLEM = f"is not a sweep directory: it has no {LEDGER}"
_ALLOWED = "a folder that `sweep run` made"
_INSIDE = "a sweep directory keeps its files in itself; allowed: to move the whole folder, and a link in its place"
_DEPTH = 3
"""Down to the folders of stages: what is in those is looked at when it is used."""


def stage_folder(kind: str, stage_id: str) -> str:
    """Where a stage's files lie, from the sweep directory: results name folders so, since it may be moved."""
    return f"{ARTIFACTS}/{kind}/{stage_id}"


def records_folder(target_hash: str, owner: str) -> str:
    """Where the tuning records of a target lie, from the sweep directory; `owner`: tuner and device."""
    return f"{RECORDS}/{target_hash}/{owner}"


def network_file(format_name: str) -> str:
    """The file of a network in the folder of its import, in a form for other runtimes than TVM: `model.onnx`."""
    return f"model.{format_name}"


def weights_name(sha256: str) -> str:
    """The file of weights of this content, in the folders of all stages that have it: one file under many names."""
    return f"{_WEIGHTS}{sha256[:32]}.bin"


def is_shared(path: str) -> bool:
    """Whether a file of a stage is such a file of weights."""
    return Path(path).name.startswith(_WEIGHTS)


def is_carried(path: str) -> bool:
    """Whether a file in a sweep directory goes along to another machine: the study, the plan, files of stages and
    tuning records. The ledger has a way of its own, and all else is this machine's business.
    """
    first, *rest = PurePosixPath(path).parts
    return path in (STUDY, PLAN) or (first == RECORDS and bool(rest)) or (first == ARTIFACTS and len(rest) > 2)


def is_text(name: Path | str) -> bool:
    """Whether a name is Unicode. One of other bytes can be opened, and stand in no table, ledger or URI."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(name))


@dataclass(frozen=True, slots=True)
class SweepDir:
    """The paths of one sweep directory, whether anything is there or not."""

    path: Path

    @classmethod
    def below(cls, folder: Path) -> Iterator[SweepDir]:
        """The sweep directories right below a folder, by name."""
        return (cls(ledger.parent) for ledger in sorted(folder.glob(f"*/{LEDGER}")))

    @property
    def is_sweep(self) -> bool:
        """Whether a run has written here."""
        return self.ledger.is_file()

    @property
    def is_taken(self) -> bool:
        """Whether a run has written here, or began to: one that was killed at once leaves only its lock."""
        return self.ledger.exists() or self.lock.exists()

    def check_inside(self) -> None:
        """Raises LedgerError where a link in it leads out of it, or something is no file: what is read and written here
        would be elsewhere. The folder itself may be a link.
        """
        found = leading_out(self.path, _DEPTH) or leading_out(self.records, _DEPTH)
        if found is not None:
            raise LedgerError(f"{found} is a link that leads out of its sweep directory, or no file: {_INSIDE}")

    def require(self) -> None:
        """Raises LedgerError where no run has written here, and as `check_inside`."""
        if not self.is_sweep:
            raise LedgerError(f"{self.path} {_PROBLEM}; allowed: {_ALLOWED}")
        self.check_inside()

    def require_as(
        self, key: str, *, value: str | None = None, file: Path | None = None, allowed: str = _ALLOWED
    ) -> None:
        """The same for a folder that a person named: in an argument, or by `key` in a `file`.

        Raises:
            StudyError: no run has written here; it names the key, the `value` as written, and what is allowed.
            LedgerError: as `check_inside`.
        """
        if not self.is_sweep:
            raise StudyError(_PROBLEM, file=file, key=key, value=value or str(self.path), allowed=allowed)
        self.check_inside()

    # -- what a run writes first: the study as run, its plan, and what happens ----------------------------------------

    def remove_half_made(self) -> None:
        """Remove artifacts that killed compile workers have begun. For who has the folder, while nobody compiles."""
        for kind in (self.path / ARTIFACTS).glob("*/"):
            remove_half_made(kind)

    @property
    def study(self) -> Path:
        """The study file as it was run."""
        return self.path / STUDY

    @property
    def plan(self) -> Path:
        """The cells and stages."""
        return self.path / PLAN

    @property
    def ledger(self) -> Path:
        """What happened, a line an event."""
        return self.path / LEDGER

    @property
    def lock(self) -> Path:
        """Held by the run that writes here."""
        return self.path / "ledger.lock"

    @property
    def holder(self) -> Path:
        """Process and host of that run, for people."""
        return self.path / "ledger.holder.json"

    def damaged(self, offset: int) -> Path:
        """What stood in the ledger at a byte that was put right."""
        return self.path / f"ledger.damaged-{offset}"

    def torn(self, offset: int) -> Path:
        """The end of the ledger that a crash has torn, from this byte on."""
        return self.path / f"ledger.torn-{offset}"

    def node_marks(self, token: str) -> Path:
        """Folder in which the nodes of a cluster leave a file each, to show that they see this one."""
        return self.path / f".nodes-{token}"

    # -- what the stages make -----------------------------------------------------------------------------------------

    @property
    def records(self) -> Path:
        """Tuning records, a folder for each target, and in it one for each tuner and device."""
        return self.path / RECORDS

    def sentinel_kernel(self, device: str) -> Path:
        """Library of the kernel that shows whether a device is disturbed."""
        return self.path / ARTIFACTS / "kernel" / f"{device}.so"

    # -- what is made from these, and could be made again -------------------------------------------------------------

    def table(self, name: str) -> Path:
        """One of TABLES or of SELDOM_TABLES."""
        return self.path / (TABLES[name] if name in TABLES else SELDOM_TABLES[name])

    @property
    def report(self) -> Path:
        """Folder of the report: a page, and the results in other formats."""
        return self.path / "report"

    @property
    def reported(self) -> Path:
        """Says what report and MLflow were made from; written after them."""
        return self.report / ".source"

    @property
    def overlay(self) -> Path:
        """Folder of the overlay's files."""
        return self.path / "overlay"

    @property
    def mlflow_database(self) -> Path:
        """The sweep's own MLflow store."""
        return self.path / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Folder of that store's artifacts."""
        return self.path / "mlartifacts"

    @property
    def mlflow_lock(self) -> Path:
        """Held by the process that writes the sweep into MLflow."""
        return self.path / "mlflow.lock"

    @property
    def mlflow_bundles(self) -> Path:
        """Bundles of the best cells, on their way into MLflow."""
        return self.path / ".mlflow-bundles"

    # -- what commands beside a run use -------------------------------------------------------------------------------

    @property
    def farm(self) -> Path:
        """State and logs of the run's own tracker and device servers."""
        return self.path / "farm"

    @property
    def turns(self) -> Path:
        """Pairs of blocks that `sweep compare DIR_A DIR_B --measure-more` took of this sweep and a baseline, a line
        each.
        """
        return self.path / "turns.jsonl"

    @property
    def executions(self) -> Path:
        """What `sweep exec` measured, a line each."""
        return self.path / "exec.jsonl"

    @property
    def import_lock(self) -> Path:
        """Held by `sweep import-logs`, whose folder has records and tables and is not a sweep directory."""
        return self.path / "import.lock"
