"""Slips in the keys that came later: finals, limits, data sets, quantisation, variants, profiling, planners.

The form is that of `more_slips`; `test_slips_of_strangers` tries them.
"""

from __future__ import annotations

from tests.study.more_slips import HEAD, NET

DIGITS = NET + "datasets:\n  digits: {sklearn: digits}\n"
"""Five lines."""
OF_NET = HEAD + "models:\n  - net.onnx\n  - from: net\n"
"""Four lines, the last of which begins a variant."""

LATER = {
    # finals and limits
    "no final by false": (NET + "final: false\n", "4: final: has the wrong type (got False); allowed: a mapping with"),
    "no final by off": (NET + "final: off\n", "4: final: has the wrong type (got 'off')"),
    "a number for a final": (NET + "final: 20\n", "4: final: has the wrong type (got 20)"),
    "seconds with a unit": (NET + "final:\n  seconds: 20s\n", "5: final.seconds: has the wrong type (got '20s')"),
    "a word for an objective": (NET + "objective: latency\n", "4: objective: has the wrong type (got 'latency')"),
    "the spelling of elsewhere": (
        NET + "objective:\n  minimize: latency\n",
        "5: objective.minimize: is not a key here, did you mean 'minimise'?",
    ),
    "another aim": (NET + "objective:\n  minimise: energy\n", "5: objective.minimise: 'energy' is not known here"),
    "a limit in megabytes": (
        NET + "objective:\n  subject_to:\n    artifact_bytes: 8MB\n",
        "6: objective.subject_to.artifact_bytes: is no limit (got '8MB')",
    ),
    "a limit by another name": (
        NET + "objective:\n  subject_to:\n    size: 8000000\n",
        "6: objective.subject_to.size: is nothing that can be limited",
    ),
    "a limit of accuracy where nothing is evaluated": (
        NET + "objective:\n  subject_to:\n    accuracy_drop: 0.01\n",
        "6: objective.subject_to.accuracy_drop: is known of no cell, since the study evaluates none",
    ),
    # samples
    "data sets as a list": (NET + "datasets:\n  - digits\n", "4: datasets: has the wrong type (got ['digits'])"),
    "a file for a data set": (
        NET + "datasets:\n  mine: mine.npz\n",
        "5: datasets.mine: has the wrong type (got 'mine.npz')",
    ),
    "samples that are not there": (
        NET + "datasets:\n  mine:\n    npz: no.npz\n",
        "6: datasets.mine.npz: cannot be read: No such file or directory",
    ),
    "a data set that scikit-learn has not": (
        NET + "datasets:\n  mine: {sklearn: mnist}\n",
        "5: datasets.mine.sklearn: 'mnist' is not known here",
    ),
    "two sources of samples": (
        NET + "datasets:\n  mine:\n    npz: a.npz\n    sklearn: digits\n",
        "7: datasets.mine.sklearn: does not go with npz",
    ),
    "steps as a list": (
        NET + "datasets:\n  mine:\n    sklearn: digits\n    preprocess:\n      - divide: 255\n",
        "7: datasets.mine.preprocess: has the wrong type",
    ),
    "a data set that is not in the study": (
        DIGITS + "evaluate:\n  dataset: digit\n",
        "7: evaluate.dataset: is no data set, did you mean 'digits'?",
    ),
    "a name and no mapping": (DIGITS + "evaluate: digits\n", "6: evaluate: has the wrong type (got 'digits')"),
    "a share of samples": (
        DIGITS + "evaluate: {dataset: digits,\n  samples: 10%}\n",
        "7: evaluate.samples: has",
    ),
    # number types
    "both ways to calibrate": (
        DIGITS + "calibration:\n  dataset: digits\n  random: 32\n",
        "8: calibration.random: does not go with dataset",
    ),
    "a precision without its name": (
        NET + "axes:\n  precision:\n    - dtype: int8\n",
        "6: axes.precision[0].name: is missing",
    ),
    "a word for a range": (
        NET + "axes:\n  precision:\n    - {name: q, dtype: int8, calibrate: entropy}\n",
        "6: axes.precision[0].calibrate: 'entropy' is not known here",
    ),
    "fewer bits": (NET + "axes:\n  precision: [int4]\n", "5: axes.precision[0]: 'int4' is not known here"),
    "another's name for a precision": (
        NET + "axes:\n  precision:\n    - {name: float16, dtype: bfloat16}\n",
        "6: axes.precision[0].name: is the name of another precision than bfloat16",
    ),
    # variants
    "a variant of nothing": (
        HEAD + "models:\n  - net.onnx\n  - from: nett\n    prune: {levels: [0.3]}\n",
        "4: models[1].from: is no other model of this study, did you mean 'net'?",
    ),
    "a variant that differs in nothing": (OF_NET, "4: models[1].from: says nothing of how it differs"),
    "a level alone": (OF_NET + "    prune: 0.3\n", "5: models[1].prune: has the wrong type (got 0.3)"),
    "levels in per cent": (
        OF_NET + "    prune:\n      levels: [30]\n",
        "6: models[1].prune.levels[0]: is out of range (got 30)",
    ),
    "a norm that there is not": (
        OF_NET + "    prune: {levels: [0.3], method: l3}\n",
        "5: models[1].prune.method: 'l3' is not known here",
    ),
    "two changes at once": (
        OF_NET + "    prune: {levels: [0.3]}\n    sparsify: {levels: [0.3]}\n",
        "6: models[1].sparsify: does not go with prune",
    ),
    "a training without samples": (OF_NET + "    train: {levels: [0.0]}\n", "5: models[1].train.dataset: is missing"),
    # profiling, planners
    "one quantity and no list": (NET + "profile:\n  observe: latency\n", "5: profile.observe: has the wrong type"),
    "a quantity that is not observed": (
        NET + "profile:\n  observe: [power]\n",
        "5: profile.observe[0]: 'power'",
    ),
    "a limit in gigabytes": (
        NET + "profile:\n  memory_limit_bytes: 2GB\n",
        "5: profile.memory_limit_bytes: has the wrong type (got '2GB')",
    ),
    "a verb for a mode": (NET + "axes:\n  mode: [train]\n", "5: axes.mode[0]: 'train' is not known here, did you mean"),
    "a word for a planner": (NET + "planner: self\n", "4: planner: has the wrong type (got 'self')"),
    "a share in per cent": (NET + "planner:\n  prune: 50\n", "5: planner.prune: is out of range (got 50)"),
    # what looks right on a screen
    "a space of a word processor": (NET + "opt_levels:\u00a0[3]\n", "4: is not valid YAML: a no-break space where"),
    "quotes of a word processor": (
        NET + "tuners: [\u2018none\u2019]\n",
        "4: tuners[0]: '\u2018none\u2019' is",
    ),
    "a range of levels": (NET + "opt_levels: 0-3\n", "4: opt_levels: has the wrong type (got '0-3')"),
    "a path of a shell": (
        HEAD + "models:\n  - $HOME/net.onnx\n",
        "3: models[0]: does not exist",
    ),
    "a budget without its unit": (NET + "budget: 2\n", "4: budget: has the wrong type (got 2)"),
}
