"""Gives a draft of a stage its id: a hash of the stage's kind, its options, the ids of its inputs and the versions of
what does the work.
"""

from __future__ import annotations

from sweep.planning.draft import Draft
from sweep.planning.fingerprint import canonical_json, hashed
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of

__all__ = ["content_id", "stage_of"]


def content_id(kind: StageKind, draft: Draft, versions: str) -> str:
    """The id of a draft. versions: of what does the work, as canonical JSON."""
    needs = tuple(draft.inputs.values())
    inputs = '["' + '","'.join(needs) + '"]' if needs else "[]"
    # The canonical JSON of the whole, put together from parts that are canonical already
    return hashed(f'{{"inputs":{inputs},"kind":"{kind.name}","options":{draft.options.text},"versions":{versions}}}')


def stage_of(kind: StageKind, draft: Draft) -> Stage:
    """A draft as a stage, with the id that it was given, or else its own."""
    stage_id = draft.id or content_id(kind, draft, canonical_json(versions_of(kind, draft.distributions, draft.source)))
    return Stage(stage_id, kind.name, draft.options.data, draft.hints, tuple(draft.inputs.values()), draft.label)
