"""Where a zoo puts the networks of a sweep, whatever the sweep calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.api.bundles.zoo import _folder_name, _made_of
from sweep.planning.results.compiling import ImportResult


@pytest.mark.parametrize("of", ["..", ".", "../../etc", "/etc", "a/../../b", 7])
def test_a_variant_is_of_nothing_outside_the_zoo(of: object, tmp_path: Path) -> None:
    name, weights = _made_of("net", {"net": ImportResult(variant={"of": of})})
    assert weights is None
    assert (tmp_path / _folder_name(name)).resolve().parent == tmp_path
    assert (tmp_path / _folder_name(name)).resolve() != tmp_path


def test_variants_of_each_other_come_to_an_end() -> None:
    name, _ = _made_of("a", {one: ImportResult(variant={"of": other}) for one, other in ("ab", "ba")})
    assert name in ("a", "b")
