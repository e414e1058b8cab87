"""Names of the models that the best cells are logged as."""

from __future__ import annotations

import pytest

from sweep.record.mlflow.network_models import name_of


@pytest.mark.parametrize(("batch", "name"), [(1, "net-here"), (8, "net-here-batch8"), (None, "net-here")])
def test_a_name_tells_the_batch_where_a_person_chose_one(batch: int | None, name: str) -> None:
    assert name_of({"axes": {"model": "net", "device": "here", "batch": batch}}) == name
