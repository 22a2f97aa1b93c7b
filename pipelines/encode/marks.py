"""Texts that spell EOS or BOS: encoded without that piece, so that a mark is only where the stage puts it.

Special tokens are taken as text anyway. What is left are added tokens that are not special, and pieces of the vocabulary
itself: a Unigram or WordLevel model with "</s>" in its vocabulary gives its id for "</s>" in a text. Such a text is
encoded by the same tokenizer in which that piece is renamed, which splits the text inside the piece and changes nothing
else. A text that cannot be spelled so is refused.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, decoders

from pipelines.encode import reference
from pipelines.encode.attempt import attempted
from pipelines.encode.ids import Ids
from pipelines.encode.params import EncodeParams
from pipelines.encode.tokenizer import bos_id, eos_id, for_documents, load, specification
from pipelines.store.files import HashedFile

JOINED = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
UNREACHABLE = "\U0010fffe{}\U0010fffe"  # noncharacters; a text that has them is compared like any other


class Mark(NamedTuple):
    """A token that no text may contain, and the reason of a text that cannot be spelled without it."""

    token: str
    token_id: int
    reason: str


def marks_of(params: EncodeParams) -> list[Mark]:
    """EOS and, if the recipe has one, BOS."""
    marks = [Mark(params.eos_token, eos_id(params), "eos_in_text")]
    if params.bos_token is not None and (bos := bos_id(params)) is not None:
        marks.append(Mark(params.bos_token, bos, "bos_in_text"))
    return marks


def respell(
    texts: pa.Array, ids: Ids, params: EncodeParams, marks: Sequence[Mark] | None = None
) -> tuple[Ids, dict[int, str]]:
    """The ids with those texts encoded again that contain a mark, and why some of them can't be. marks: see marks_of."""
    reasons: dict[int, str] = {}
    marks = marks_of(params) if marks is None else marks
    rows = [(mark.reason, ids.rows_with(mark.token_id)) for mark in marks]
    affected = np.unique(np.concatenate([with_mark for _, with_mark in rows]))
    if not len(affected):
        return ids, reasons
    without = without_pieces(params.tokenizer, tuple(mark.token for mark in marks))
    texts = texts.take(pa.array(affected))
    again = Ids.of([None] * len(affected)) if without is None else reference.encode(without, texts, params)
    for place, row in enumerate(affected.tolist()):
        spelled = again.row(place)
        if (
            again.failed[place]
            or np.isin(spelled, [mark.token_id for mark in marks]).any()
            or not attempted(
                lambda: same_text(load(params.tokenizer), texts[place].as_py(), spelled, ids.row(row))  # noqa: B023
            )
        ):
            reasons[row] = next(reason for reason, with_mark in rows if row in with_mark)
    return ids.replaced(affected, again), reasons


def same_text(tokenizer: Tokenizer, text: str, spelled: np.ndarray, with_mark: np.ndarray) -> bool:
    """Whether ids decode to the text, before or after the normalizer, or to what the ids with the mark decode to."""
    normalizer = tokenizer.normalizer
    normalized = text if normalizer is None else normalizer.normalize_str(text)
    return decode(tokenizer, spelled) in (text, normalized, decode(tokenizer, with_mark))


def decode(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    """The text of ids. A file without a decoder separates tokens by spaces; here they are joined, bytes as characters."""
    if tokenizer.decoder is not None:
        return tokenizer.decode(ids.tolist(), skip_special_tokens=False)
    return JOINED.decode([tokenizer.id_to_token(token_id) or "" for token_id in ids.tolist()])


@cache
def without_pieces(file: HashedFile, tokens: tuple[str, ...]) -> Tokenizer | None:
    """The tokenizer of a file with some pieces renamed, each id as before; None where tokenizers refuses the result."""
    spec = specification(file)
    names = {token: UNREACHABLE.format(k) for k, token in enumerate(tokens)}
    spec["post_processor"] = None  # it adds tokens by their names, and documents get none
    for added in spec["added_tokens"]:
        added["content"] = names.get(added["content"], added["content"])
    rename(spec["model"], names)
    tokenizer = attempted(lambda: for_documents(Tokenizer.from_str(json.dumps(spec))))
    before = load(file)
    if tokenizer is None or any(tokenizer.token_to_id(new) != before.token_to_id(old) for old, new in names.items()):
        return None
    return tokenizer


def rename(model: dict[str, Any], names: dict[str, str]) -> None:
    """Rename pieces of a model of tokenizer.json. No merge makes a renamed piece, and it stands for no unknown text."""
    if isinstance(model["vocab"], list):  # Unigram: [piece, score] by id
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
        if model.get("unk_id") is not None and model["vocab"][model["unk_id"]][0] in names.values():
            model["unk_id"] = None
        return
    model["vocab"] = {names.get(piece, piece): token_id for piece, token_id in model["vocab"].items()}
    if model.get("unk_token") in names:
        model["unk_token"] = None if "merges" in model else ""
    if "merges" in model:
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [(a, b) for a, b in pairs if not {a, b, a + b} & names.keys()]
