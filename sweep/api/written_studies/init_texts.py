"""What `sweep init` writes, with places for what it has found."""

from __future__ import annotations

__all__ = ["CLUSTER", "STUDY"]

STUDY = """\
# Written by `sweep init`, to be changed. `sweep plan` shows what a run would do, `sweep schema` every key there is.
# Only `study` and `models` must be there.
version: 1
study: {slug}
question: What do the opt level and tuning buy for {slug} on this machine, and how far is the best from {runtime}?
models:
{model}
targets:
  - native                             # each device's own CPU; or a tag, a string, {{kind: llvm, mcpu: ...}}
tuners:
  - none
  - {{name: xgb, trials_per_task: 8}}    # more find more: 64 is a start where speed matters
opt_levels: [0, 3]                     # 0 to 4
axes: {{layout: [auto], precision: [float32]{batch}}}   # also NCHW, NHWC, float16, bfloat16{more}
exclude:
  - {{tuner: xgb, opt_level: 0}}         # tuned at the upper level alone
measure: {{repeat: 10, min_repeat_ms: 50}}
# budget: {{hours: 1}}                   # of a run; tuners share what there is of it
"""

CLUSTER = """\
# Written by `sweep init`, to be changed: where the work is done. Commands take clusters/local.yaml where none is named.
# This machine: {cpu}; cores that may be used: {cores}.
version: 1
name: local
engine: ray                            # or inline: one attempt at a time in one process, to debug
tracker: {{host: 127.0.0.1, port: 0, managed: true}}   # port 0: a free one
devices:
  - key: here
    target: native                     # every feature of this CPU
    threads: 1
    cores: [-1]                        # -1: the last, here {last}. Search and builds keep to the others
# A board that is at a tracker of yours, with tracker: {{host: HOST, port: 9190, managed: false}}:
#  - {{key: rasp4, target: arm/rasp4b64, threads: 4, managed: false}}
"""
