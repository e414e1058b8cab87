"""Gives a draft of a stage its id: a hash of the stage's kind, its options, the ids of its inputs and the versions of
what does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.planning.draft import Draft
from sweep.planning.fingerprint import canonical_json, hashed
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of

__all__ = ["content_id", "id_of", "stage_of"]


def content_id(kind: StageKind, draft: Draft, versions: str) -> str:
    """The id of a draft. versions: of what does the work, as canonical JSON."""
    return id_of(kind.name, draft.options.text, tuple(draft.inputs.values()), versions)


def id_of(kind: str, options: str, needs: Sequence[str], versions: str) -> str:
    """The id of a stage of a kind, with these ids of its inputs. options, versions: as canonical JSON."""
    inputs = '["' + '","'.join(needs) + '"]' if needs else "[]"
    # The canonical JSON of the whole, put together from parts that are canonical already
    return hashed(f'{{"inputs":{inputs},"kind":"{kind}","options":{options},"versions":{versions}}}')


def stage_of(kind: StageKind, draft: Draft, versions: Mapping[str, str | int] | None = None) -> Stage:
    """A draft as a stage, with the id that it was given, or else its own."""
    if versions is None:
        versions = versions_of(kind, draft.distributions, draft.source)
    stage_id = draft.id or content_id(kind, draft, canonical_json(versions))
    inputs = tuple(draft.inputs.values())
    return Stage(stage_id, kind.name, draft.options.data, draft.hints, inputs, draft.label, versions)
