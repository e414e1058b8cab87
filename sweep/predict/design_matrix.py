"""Networks as rows of numbers: what all kinds of models are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.errors import StudyError
from sweep.predict.analytical_features import analytical_features
from sweep.predict.layer_geometry import LayerGeometry, Variant
from sweep.predict.observations import Observations, Variable
from sweep.predict.physical_terms import coordinates, physical_terms, terms_of

__all__ = ["DesignMatrix", "describe", "described"]


@dataclass(frozen=True, slots=True)
class DesignMatrix:
    """The numbers of some networks at some batches; a row each."""

    terms: np.ndarray
    """Physical terms of the variable, shape [rows, terms]."""
    floor_term: np.ndarray
    """Shape [rows]."""
    places: np.ndarray
    """Coordinates, shape [rows, 7]."""
    features: np.ndarray
    """Analytical features, shape [rows, 15] or [rows, 56]."""

    def __len__(self) -> int:
        return len(self.floor_term)

    def where(self, chosen: np.ndarray) -> DesignMatrix:
        return DesignMatrix(self.terms[chosen], self.floor_term[chosen], self.places[chosen], self.features[chosen])


def describe(rows: list[tuple[LayerGeometry, float]], variable: Variable, mode: str) -> DesignMatrix:
    """Computes the numbers of each (network, batch)."""
    terms = terms_of(variable, mode)
    all_terms = [physical_terms(geometry, batch) for geometry, batch in rows]
    return DesignMatrix(
        np.array([[one[name] for name in terms.names] for one in all_terms]),
        np.array([one[terms.floor] for one in all_terms]),
        np.array([coordinates(one, batch) for one, (_, batch) in zip(all_terms, rows, strict=True)]),
        np.array([analytical_features(geometry, batch, mode) for geometry, batch in rows]),
    )


def described(
    observed: Observations, layers: dict[Variant, LayerGeometry], variable: Variable, mode: str
) -> tuple[DesignMatrix, Observations, int]:
    """Computes the numbers of the observations of networks whose layers are known, and counts the others.

    Raises:
        StudyError: no observation has a network of the table of layers.
    """
    variants = list(zip(observed.network.tolist(), observed.level_percent.tolist(), strict=True))
    known = np.array([variant in layers for variant in variants])
    if not known.any():
        networks = ", ".join(sorted({network for network, _ in layers}))
        raise StudyError(
            f"measurements: no network and level_percent is in the table of layers, which has {networks}; "
            f"measured are {', '.join(observed.networks)}"
        )
    pairs = zip(variants, observed.batch.tolist(), strict=True)
    rows = [(layers[variant], batch) for variant, batch in pairs if variant in layers]
    return describe(rows, variable, mode), observed.where(known), int((~known).sum())
