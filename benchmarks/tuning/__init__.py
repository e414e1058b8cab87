"""Tuning by `sweep run` against MetaSchedule as shipped and ONNX Runtime, each compared within one run."""
