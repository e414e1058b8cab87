"""A saved Keras model gives what Keras gives, in every form that an import leaves."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.installation import child_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="the extra `keras`"),
]

MAKE = """
import sys
import numpy as np
import keras
from keras import layers
keras.utils.set_random_seed(0)
ids, left = keras.Input((None,), dtype="int32", name="ids"), keras.Input((8,), name="left")
joined = layers.GlobalAveragePooling1D()(layers.Embedding(10, 8)(ids)) + left
two = keras.Model({"left": left, "ids": ids}, [layers.Dense(3)(joined), layers.Dense(2)(joined)])
two.save(sys.argv[1] + "/two.keras")
picture = keras.Sequential([
    keras.Input((16, 16, 3), name="image"), layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(),
    layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(5, activation="softmax"),
])
picture.save(sys.argv[1] + "/picture.keras")
steps = keras.Sequential([keras.Input((12, 4), name="steps"), layers.LSTM(6), layers.Dense(2)])
steps.save(sys.argv[1] + "/steps.keras")
"""
LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.keras.keras_loader import KerasLoader
from sweep.toolchain.models.loader import Shapes
from tests.toolchain.models.keras.compiled import compiled
found = {}
for name, shapes in (
    ("two", Shapes({"ids": [2, 7]}, 2, 0)), ("picture", Shapes({}, 3, 0)), ("steps", Shapes({}, None, 0))
):
    loaded = KerasLoader().load(Path(sys.argv[1], name + ".keras"), {})
    model = KerasLoader().specialise(loaded, shapes)
    feeds = make_inputs(model.inputs, 0)
    wanted = model.expected_outputs(Path(), feeds)
    order = sorted(feeds) if name == "two" else list(feeds)
    given = {key: feeds[key] for key in order}
    own = loaded.model(given if name == "two" else feeds[order[0]], training=False)
    own = [one.detach().numpy() for one in (own if isinstance(own, list) else [own])]
    got = compiled(model.relax(), list(feeds.values()))
    found[name] = {
        "inputs": {one.name: list(one.shape) for one in model.inputs},
        "keras": max(float(np.abs(a - b).max()) for a, b in zip(wanted, own, strict=True)),
        "tvm": max(float(np.abs(a - b).max()) for a, b in zip(wanted, got, strict=True)),
        "largest": float(np.abs(wanted[0]).max()),
    }
made = KerasLoader().load(Path("keras"), {"application": "MobileNetV2"})
model = KerasLoader().specialise(made, Shapes({"image": [1, 64, 64, 3]}, None, 0))
feeds = make_inputs(model.inputs, 0)
wanted = model.expected_outputs(Path(), feeds)
again = KerasLoader().specialise(made, Shapes({"image": [1, 64, 64, 3]}, None, 0)).expected_outputs(Path(), feeds)
found["made"] = {
    "inputs": {one.name: list(one.shape) for one in model.inputs},
    "keras": float(np.abs(wanted[0] - again[0]).max()),
    "tvm": max(float(np.abs(a - b).max()) for a, b in zip(wanted, compiled(model.relax(), list(feeds.values())))),
    "largest": float(np.abs(wanted[0]).max()),
    "spread": float(wanted[0].std() / wanted[0].mean()),
    "answers": float(np.abs(wanted[0] - model.expected_outputs(Path(), make_inputs(model.inputs, 1))[0]).max()),
}
import keras
from keras.src.applications.convnext import LayerScale
from sweep.toolchain.models.keras.untrained_keras import settle_untrained_keras
scaled = keras.Sequential([keras.Input((8, 8, 3)), LayerScale(1e-6, 3), keras.layers.BatchNormalization()])
settle_untrained_keras(scaled, 0)
constant = [one.path for one in scaled.variables if len(set(one.numpy().tolist())) < 2]
print(json.dumps({"networks": found, "constant": constant, "scale": float(scaled.variables[0].numpy().min())}))
"""


def test_each_gives_what_keras_gives_and_the_home_folder_stays_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    aside = {"KERAS_HOME": str(tmp_path / "keras"), "KERAS_BACKEND": "torch"}
    made = [sys.executable, "-c", MAKE, str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True, env={**os.environ, **aside})
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env=child_environment(HOME=str(home), TMPDIR=str(tmp_path)),
    )
    told = json.loads(done.stdout.splitlines()[-1])
    found = told["networks"]
    assert found["two"]["inputs"] == {"ids": [2, 7], "left": [2, 8]}
    assert found["picture"]["inputs"] == {"image": [3, 16, 16, 3]}
    for one in found.values():
        assert one["largest"] > 1e-4
        assert one["keras"] < 1e-6
        assert one["tvm"] < 1e-5
    assert found["made"]["spread"] > 0.2, "every class was as likely, whatever the code"
    assert found["made"]["answers"] > 1e-4, "another picture has another answer"
    assert told["constant"] == []
    assert told["scale"] > 0.4, "a block that is scaled by 1e-6 leaves nothing of itself"
    assert list(home.iterdir()) == []
