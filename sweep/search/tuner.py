"""The former name of `sweep.search.strategy`, for a person's own tuners that import from here."""

from sweep.search.strategy import Observation, Search, Visited, generator
from sweep.search.strategy import SearchStrategy as Tuner

__all__ = ["Observation", "Search", "Tuner", "Visited", "generator"]
