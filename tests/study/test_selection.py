"""Some cells of a grid, by globs."""

from __future__ import annotations

import pytest

from sweep.errors import StudyError
from sweep.study.grid import cells
from sweep.study.selection import parse_selection, select
from tests.planning.grids import TUNERS, cluster, device, model, study

GRID = list(
    cells(
        study(
            models=tuple(model(name) for name in ("resnet18", "resnet50", "vgg")),
            tuners=tuple(TUNERS[label] for label in ("none", "random", "xgb")),
            opt_levels=(0, 3),
        ),
        cluster(device("one")),
    )
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("tuner=xgb", 6),
        ("tuner=xgb,model=res*", 4),
        ("tuner = xgb | random , opt_level = 3", 6),
        ("model=resnet??", 14),
        ("runtime=onnxruntime", 3),
        ("opt_level=-", 3),
        ("model=*", 21),
        ("batch=1,layout=NCHW,precision=float32,device=one,target=native", 18),
    ],
)
def test_cells_are_chosen_by_globs(text: str, count: int) -> None:
    chosen = select(GRID, parse_selection(text))
    assert len(chosen) == count
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tunner=xgb", ["'tunner'", "did you mean 'tuner'", "model, target, tuner, opt_level"]),
        ("xgb", ["'xgb'", "AXIS=VALUE"]),
        ("", ["AXIS=VALUE"]),
        ("tuner=", ["'tuner='", "AXIS=VALUE"]),
        ("tuner=xgb|", ["AXIS=VALUE"]),
        ("tuner=xgb,tuner=ga", ["'tuner'", "twice", "tuner=VALUE|VALUE"]),
        ("model=alex*", ["fits no model", "resnet18, resnet50, vgg"]),
        ("opt_level=4", ["fits no opt_level", "-, 0, 3"]),
        ("tuner=xgb,runtime=onnxruntime", ["fits no cell", "tuner, runtime"]),
    ],
)
def test_what_fits_nothing_is_told_with_what_there_is(text: str, says: list[str]) -> None:
    with pytest.raises(StudyError) as refused:
        select(GRID, parse_selection(text))
    for part in ("--only", *says):
        assert part in str(refused.value)
