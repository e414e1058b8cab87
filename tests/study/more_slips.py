"""Slips in a study file: what a person did, the file, and how the error begins behind the file's name.

They are half of the table of `test_slips_of_strangers`, which tries them.
"""

from __future__ import annotations

HEAD = "study: mine\n"
NET = HEAD + "models:\n  - net.onnx\n"
"""Three lines, and a network whose input is x: [1, 3, 8, 8]."""
INPUTS = HEAD + "models:\n  - path: net.onnx\n    inputs:\n"

MORE = {
    # how a file comes about elsewhere
    "a mark at its beginning": ("\ufeff" + NET + "tuner: [none]\n", "4: tuner: is not a key here"),
    "lines of another system": (
        "study: mine\r\nmodels: [net.onnx]\r\ntuner: [none]\r\n",
        "3: tuner: is not a key here",
    ),
    "a character that is none": (HEAD + "models: [net.onnx]\nquestion: wh\x00y\n", "3: is not valid YAML: "),
    "an escape of a terminal": (NET + "question: \x1b[31mwhy\n", "4: is not valid YAML: "),
    "a list of one key each": ("- study: mine\n- models: [net.onnx]\n", "1: holds a list"),
    "words alone": ("mine\n", "1: holds a single value"),
    "JSON with a comma too many": ('{"study": "mine", "models": ["net.onnx"],, }\n', "1: is not valid YAML"),
    "a merge of a list": (NET + "measure:\n  <<: [1]\n  repeat: 3\n", "5: is not valid YAML"),
    # numbers
    "a comment that is none": (NET + "seed: 3#fast\n", "4: seed: has the wrong type (got '3#fast')"),
    "a seed below 0": (NET + "seed: -1\n", "4: seed: is out of range (got -1)"),
    "a fraction for a seed": (NET + "seed: 1.5\n", "4: seed: has the wrong type (got 1.5)"),
    "true for a level": (NET + "opt_levels: [true]\n", "4: opt_levels[0]: has the wrong type (got True)"),
    "a level twice": (NET + "opt_levels: [3, 3]\n", "4: opt_levels[1]: is the same as opt_levels[0]"),
    "a batch of none": (NET + "axes:\n  batch: [0]\n", "5: axes.batch[0]: is out of range (got 0)"),
    "no hours": (NET + "budget: {hours: 0}\n", "4: budget.hours: is out of range (got 0)"),
    "endless hours": (NET + "budget:\n  hours: .inf\n", "5: budget.hours: is not a finite number"),
    "no number": (NET + "measure:\n  relative_interval: .nan\n", "5: measure.relative_interval: is not a finite"),
    "a percentage": (NET + "measure:\n  relative_interval: 2%\n", "5: measure.relative_interval: has the wrong type"),
    "per cent as a number": (NET + "measure:\n  relative_interval: 2\n", "5: measure.relative_interval: is out of"),
    "a number with its unit": (NET + "measure:\n  min_repeat_ms: 100ms\n", "5: measure.min_repeat_ms: has the wrong"),
    "a number of a programmer": (NET + "measure:\n  repeat: 1_000\n", "5: measure.repeat: has the wrong type"),
    "a number beyond 64 bits": (
        NET + "measure:\n  repeat: 99999999999999999999\n",
        "5: measure.repeat: is out of range",
    ),
    # names
    "a number for a name": ("study: 12\nmodels: [net.onnx]\n", "1: study: has the wrong type (got 12)"),
    "several questions": (NET + "question: [why, how]\n", "4: question: has the wrong type"),
    "a network's name with a slash": (
        HEAD + "models:\n  - {path: net.onnx, name: a/b}\n",
        "3: models[0].name: is not a name of the form",
    ),
    "a layout in small letters": (NET + "axes:\n  layout: [nchw]\n", "5: axes.layout[0]: 'nchw' is not known here"),
    "a version in quotes": ("version: '1'\n" + NET, "1: version: has the wrong type (got '1')"),
    # networks
    "a network that is a number": (HEAD + "models:\n  - 3\n", "3: models[0]: has the wrong type (got 3)"),
    "a network that is nothing": (HEAD + "models:\n  - ~\n", "3: models[0]: has the wrong type"),
    "a list of lists": (HEAD + "models:\n  - [net.onnx]\n", "3: models[0]: has the wrong type"),
    "an address": (HEAD + "models:\n  - https://example.com/net.onnx\n", "3: models[0]: is an address"),
    "a pattern": (HEAD + "models:\n  - '*.onnx'\n", "3: models[0]: does not exist, did you mean 'net.onnx'?"),
    "a path of another system": (HEAD + "models:\n  - nets\\\\net.onnx\n", "3: models[0]: does not exist"),
    "an importer misspelt": (
        HEAD + "models:\n  - {path: net.onnx, importer: onx}\n",
        "3: models[0].importer: is no importer, did you mean 'onnx'?",
    ),
    "one number for a shape": (INPUTS + "      x: 8\n", "5: models[0].inputs.x: has the wrong type (got 8)"),
    "a fraction in a shape": (INPUTS + "      x: [1, 3, 8.0, 8]\n", "5: models[0].inputs.x[2]: has the wrong type"),
    "an array that is not there": (INPUTS + "      x: {npz: no.npz}\n", "5: models[0].inputs.x.npz: cannot be read"),
    "a range from its end": (INPUTS + "      x: {range: [1, 0]}\n", "5: models[0].inputs.x.range: is no range"),
    # the rest
    "a kind that is no CPU": (NET + "targets:\n  - cuda\n", "5: targets[0]: kind 'cuda' cannot be built here"),
    "a level that include adds and there is not": (
        NET + "include:\n  - {opt_level: 5}\n",
        "5: include[0].opt_level: is out of range (got 5)",
    ),
    "a rule without an axis": (NET + "exclude:\n  - {}\n", "5: exclude[0]: names no axis"),
    "a rule with a sign": (NET + "exclude:\n  - {opt_level: '>2'}\n", "5: exclude[0].opt_level: has the wrong type"),
    "a label that another tuner has": (
        NET + "tuners:\n  - none\n  - {name: ga, label: none}\n",
        "6: tuners[1]: is the same as tuners[0]",
    ),
    "a label alone": (NET + "tuners:\n  - {label: fast}\n", "5: tuners[0]: has no name"),
    "a runtime twice": (NET + "runtimes: [tvm, tvm]\n", "4: runtimes[1]: is the same as runtimes[0]"),
    "no runtime": (NET + "runtimes: []\n", "4: runtimes: is empty"),
    "several baselines": (NET + "baseline: [tvm]\n", "4: baseline: has the wrong type"),
    "a device that is nothing": (NET + "devices:\n  -\n", "5: devices[0]: has no value"),
    "a mail address to tell": (NET + "notify: me@example.com\n", "4: notify: has the wrong type"),
    "an address without its scheme": (NET + "notify:\n  webhook: example.com/hook\n", "5: notify.webhook: is not an"),
    "tags as a list": (NET + "tags: [vision]\n", "4: tags: has the wrong type"),
    "tags in tags": (NET + "tags:\n  team: {name: vision}\n", "5: tags.team: is not a text for a tag"),
    "tags of no cells": (NET + "cell_tags:\n  - tags: {a: b}\n", "5: cell_tags[0].cells: is missing"),
}
