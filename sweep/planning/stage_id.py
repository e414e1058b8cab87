"""Gives a draft of a stage its id: a hash of the stage's kind, its options, the ids of its inputs and the versions of
what does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from sweep.planning.draft import Draft
from sweep.planning.fingerprint import DIGITS, canonical_json
from sweep.planning.stage import Stage
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of

__all__ = ["content_id", "id_of", "id_tail", "id_with", "stage_of"]


def content_id(kind: StageKind, draft: Draft, versions: str) -> str:
    """The id of a draft. versions: of what does the work, as canonical JSON."""
    return id_of(kind.name, draft.options.text, tuple(draft.inputs.values()), versions)


def id_of(kind: str, options: str, needs: Sequence[str], versions: str) -> str:
    """The id of a stage of a kind, with these ids of its inputs. options, versions: as canonical JSON."""
    return id_with(needs, id_tail(kind, options, versions))


def id_tail(kind: str, options: str, versions: str) -> bytes:
    """What an id is made of behind the ids of the inputs. options, versions: as canonical JSON."""
    # The canonical JSON of the whole, put together from parts that are canonical already
    return f',"kind":"{kind}","options":{options},"versions":{versions}}}'.encode()


def id_with(needs: Sequence[str], tail: bytes) -> str:
    """The id of a stage with these ids of its inputs, and the rest of what it is made of."""
    inputs = '{"inputs":["' + '","'.join(needs) + '"]' if needs else '{"inputs":[]'
    return sha256(inputs.encode() + tail).hexdigest()[:DIGITS]


def stage_of(kind: StageKind, draft: Draft, versions: Mapping[str, str | int] | None = None, label: str = "") -> Stage:
    """A draft as a stage, with the id that it was given, or else its own. label: in place of the draft's."""
    if versions is None:
        versions = versions_of(kind, draft.distributions, draft.source)
    stage_id = draft.id or content_id(kind, draft, canonical_json(versions))
    inputs = tuple(draft.inputs.values())
    return Stage(stage_id, kind.name, draft.options.data, draft.hints, inputs, label or str(draft.label), versions)
