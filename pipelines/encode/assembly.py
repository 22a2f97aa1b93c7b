"""A sample from its pieces: its ids, and which of them are context, response and trained on."""

from typing import NamedTuple

import numpy as np

from pipelines.conversations import Conversation, strings
from pipelines.encode.chat import Piece
from pipelines.encode.markers import call_end, literal, markers
from pipelines.encode.marks import Mark, marks_of
from pipelines.encode.params import EncodeParams
from pipelines.encode.tokenizer import bos_id


class Encoded(NamedTuple):
    """A sample as tokens. `reason`: why the tokenizer refuses it; then the rest is of no use.

    Attributes:
        ids: [n] int32.
        context, response: first token and one past the last.
        responses: [n_responses] the tokens that are trained on, each with those that end the turn.
    """

    reason: str
    ids: np.ndarray
    context: tuple[int, int]
    response: tuple[int, int]
    responses: list[tuple[int, int]]
    has_marker: bool


def with_calls(parts: list[Piece], params: EncodeParams) -> list[Piece]:
    """The pieces with what ends the turn of a tool call cut off, as text of the template."""
    cut: list[Piece] = []
    for k, piece in enumerate(parts):
        if piece.kind != "call" or (k + 1 < len(parts) and parts[k + 1].message == piece.message):
            cut.append(piece)
            continue
        end = call_end(piece.text, params)
        cut += [Piece("call", piece.text[:end], piece.message), Piece("template", piece.text[end:])]
    return [piece for piece in cut if piece.text]


def marks_in(parts: list[Piece], params: EncodeParams) -> list[Mark]:
    """The tokens that no text of a sample contains, besides EOS and BOS: all special ones, and others that its template
    writes around the texts."""
    tokens = markers(params).added
    marks = {Mark(tokens[i], i, "marker_in_text") for i in markers(params).special if i in tokens}
    marks |= {
        mark for piece in parts if piece.kind in ("template", "call") for mark in literal(piece.text, params).marks
    }
    own = {mark.token for mark in marks_of(params)}
    return sorted(mark for mark in marks if mark.token not in own)


def assembled(
    sample: Conversation,
    parts: list[Piece],
    contents: list[np.ndarray],
    reasons: list[str],
    params: EncodeParams,
    scored: str,
) -> Encoded:
    """A sample from its pieces. contents: ids of those that are no text of the template, in order."""
    reason = next((reason for reason in reasons if reason), "") or call_fault(sample, params)
    arrays, n, ids_of_texts = [np.empty(0, np.int32)], 0, iter(contents)
    begin: dict[int, int] = {}  # message -> its first token, and one past its last
    end: dict[int, int] = {}
    trained: dict[int, int] = {}  # message -> one past the tokens that end its turn
    context: tuple[int, int] | None = None
    bos, before = bos_id(params), -1
    first = literal(parts[0].text, params).ids if parts[0].kind == "template" else np.empty(0, np.int32)
    if bos is not None and not (len(first) and first[0] == bos):
        arrays, n = [np.array([bos], np.int32)], 1
    for piece in parts:
        ids = next(ids_of_texts) if piece.kind in ("text", "context") else literal(piece.text, params).ids
        if piece.kind == "context":
            context = n, n + len(ids)
        if piece.message >= 0:
            begin.setdefault(piece.message, n)
            end[piece.message] = trained[piece.message] = n + len(ids)
        elif before >= 0:
            trained[before] += literal(piece.text, params).n_end
        before = piece.message
        arrays.append(ids)
        n += len(ids)
    turns = sorted(sample.responses, key=begin.__getitem__)
    turn = sample.responses[-1 if scored == "last" else 0]
    start = begin[sample.first_user]
    return Encoded(
        reason=reason,
        ids=np.concatenate(arrays),
        context=context or (start, start),
        response=(begin[turn], end[turn]),
        responses=[(begin[i], trained[i]) for i in turns],
        has_marker=has_marker(parts, params),
    )


def call_fault(sample: Conversation, params: EncodeParams) -> str:
    """marker_in_text where a tool or a call spells a special token: the template writes it, so it would be special."""
    values = [sample.tools, *(message.tool_calls for message in sample.messages)]
    values += [[message.name, message.tool_call_id] for message in sample.messages]
    has_special = any(markers(params).pattern.search(text) for value in values for text in strings(value))
    return "marker_in_text" if has_special else ""


def has_marker(parts: list[Piece], params: EncodeParams) -> bool:
    """Whether a text contains a special token's spelling or a marker of the template."""
    plain = {marker for piece in parts if piece.kind == "template" for marker in literal(piece.text, params).plain}
    texts = [piece.text for piece in parts if piece.kind in ("text", "context")]
    pattern = markers(params).pattern
    return any(pattern.search(text) or any(marker in text for marker in plain) for text in texts)
