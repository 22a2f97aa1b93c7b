"""Texts that spell EOS or BOS: encoded without that piece, so that a mark is only where the stage puts it.

Special tokens are taken as text anyway. What is left are added tokens that are not special, and pieces of the vocabulary
itself: a Unigram or WordLevel model with "</s>" in its vocabulary gives its id for "</s>" in a text. Such a text is
encoded by the same tokenizer in which that piece is renamed, which splits the text inside the piece and changes nothing
else. A text that cannot be spelled so is refused.
"""

import json
from functools import cache
from typing import Any

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


def respell(texts: pa.Array, ids: Ids, params: EncodeParams) -> tuple[Ids, dict[int, str]]:
    """The ids with those texts encoded again that contain the id of EOS or BOS, and why some of them can't be."""
    reasons: dict[int, str] = {}
    marks = {"eos_in_text": eos_id(params)}
    if (bos := bos_id(params)) is not None:
        marks["bos_in_text"] = bos
    rows = {reason: ids.rows_with(mark) for reason, mark in marks.items()}
    affected = np.unique(np.concatenate([*rows.values()]))
    if not len(affected):
        return ids, reasons
    tokens = tuple(token for token in (params.eos_token, params.bos_token) if token is not None)
    without = without_pieces(params.tokenizer, tokens)
    texts = texts.take(pa.array(affected))
    again = Ids.of([None] * len(affected)) if without is None else reference.encode(without, texts, params)
    for place, row in enumerate(affected.tolist()):
        spelled = again.row(place)
        if (
            again.failed[place]
            or np.isin(spelled, [*marks.values()]).any()
            or not same_text(load(params.tokenizer), texts[place].as_py(), spelled, ids.row(row))
        ):
            reasons[row] = next(reason for reason, found in rows.items() if row in found)
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
