"""What the driver hands over to be recorded (defined in `analysis`, since reports read it too)."""

from sweep.analysis.outcome import CellOutcome, CellStatus, SweepOutcome

__all__ = ["CellOutcome", "CellStatus", "SweepOutcome"]
