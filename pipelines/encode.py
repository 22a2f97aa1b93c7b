"""DOCUMENTS -> TOKENS: the input_ids of every document that dedup kept.

A text longer than `piece_chars` is encoded in overlapping pieces that are joined where both sides agree, so that one
huge document is work for all threads and needs the memory of a batch, not a hundred bytes for each of its tokens.
Memory: a shard's text, its tokens, and about 150 bytes for each token of one batch.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, PositiveInt
from tokenizers import Encoding, Tokenizer

from pipelines.stage import Engine, Read, ShardStage
from pipelines.store import Shard
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError
from schemas.names import from_name, path_named

VERSION = 1  # raise when the same params would give other rows

OVERLAP = 2_000  # characters that neighbouring pieces share
AGREE = 8  # tokens that must be equal on either side of a seam


def tokenizer_named(folder: Path, name: str) -> HashedFile:
    """The tokenizer.json that a recipe in `folder` names: a file, its folder, or the hub's, in the hub client's cache.

    Raises:
        RecipeError: there is none, or it can't be read.
    """
    local = path_named(folder, name)
    for path in (local, local / "tokenizer.json"):
        if path.is_file():
            return HashedFile.of(path)
    if name.startswith((".", "/", "~")) or name.endswith(".json") or name.count("/") != 1:
        raise RecipeError(f"no such file: {local}; name a tokenizer.json or a hub id")
    from huggingface_hub import hf_hub_download  # slow to import, and rarely needed

    try:
        path = Path(hf_hub_download(name, "tokenizer.json"))
    except Exception as error:  # its client's too: httpx has errors of its own
        line = " ".join(str(error).split())
        raise RecipeError(f"{name} can't be had from the hub ({line}); name a local file") from error
    return HashedFile.of(path)


TokenizerFile = Annotated[HashedFile, from_name(tokenizer_named)]


class EncodeParams(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenizer: TokenizerFile  # a path and the hash of what it holds
    eos_token: str
    batch_bytes: PositiveInt = 1_000_000
    piece_chars: PositiveInt = 250_000  # a longer text is encoded in pieces


@cache  # once a process
def load(file: HashedFile) -> Tokenizer:
    """The tokenizer of a tokenizer.json, with text that looks like a special token taken as text.

    Raises:
        RecipeError: the file is not a tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(file.path)
    except Exception as error:
        raise RecipeError(f"{file.path}: not a tokenizer.json ({error}); name one that tokenizers can load") from error
    tokenizer.encode_special_tokens = True  # "</s>" in a document is text
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def eos_id(params: EncodeParams) -> int:
    """The id of the recipe's EOS.

    Raises:
        RecipeError: the tokenizer has no such token.
    """
    found = load(params.tokenizer).token_to_id(params.eos_token)
    if found is None:
        raise RecipeError(f"{params.tokenizer.path}: encode.eos_token {params.eos_token!r} is not in its vocabulary")
    return found


def encode_shard(documents: pa.Table, duplicates: pa.Table, params: EncodeParams) -> pa.Table:
    """TOKENS: a row for each row of `documents`, NULL where it was dropped."""
    kept = pc.equal(duplicates["verdict"], "kept").to_numpy(zero_copy_only=False)
    texts = documents["text"].filter(kept).combine_chunks()
    encoded = list(encode_texts(texts, params))
    n_tokens = np.zeros(len(kept), np.int64)
    n_tokens[kept] = [len(ids) for ids in encoded]
    offsets = np.concatenate([[0], np.cumsum(n_tokens)]).astype(np.int32)
    values = np.concatenate(encoded) if encoded else np.empty(0, np.int32)
    return pa.table(
        {
            "document_id": duplicates["document_id"],
            "n_tokens": pa.array(n_tokens.astype(np.int32), mask=~kept),
            "input_ids": pa.ListArray.from_arrays(offsets, values, mask=pa.array(~kept)),
        }
    )


def encode_texts(texts: pa.Array, params: EncodeParams) -> Iterator[np.ndarray]:
    """int32 ids of each text, EOS last; one after another, in the order of the texts."""
    tokenizer, eos = load(params.tokenizer), np.array([eos_id(params)], np.int32)
    for batch in batches(texts, params):
        if len(batch) == 1 and len(batch[0]) > params.piece_chars:
            yield np.concatenate([encode_pieces(tokenizer, batch[0], params), eos])
        else:
            for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
                yield np.array([*encoding.ids, eos[0]], np.int32)


def batches(texts: pa.Array, params: EncodeParams) -> Iterator[list[str]]:
    """Neighbouring texts of about `batch_bytes`; one that is encoded in pieces is a batch of its own."""
    batch: list[str] = []
    size = 0
    for value in texts:
        text = value.as_py()
        alone = len(text) > params.piece_chars
        if batch and (alone or size + len(text) > params.batch_bytes):
            yield batch
            batch, size = [], 0
        if alone:
            yield [text]
        else:
            batch.append(text)
            size += len(text)
    if batch:
        yield batch


def encode_pieces(tokenizer: Tokenizer, text: str, params: EncodeParams) -> np.ndarray:
    """int32 ids of one long text: as if encoded whole, from pieces that overlap by OVERLAP characters.

    Neighbours are joined at a token that begins after white space and about which AGREE tokens on either side are the
    same in both. Where there is no such place the two pieces are encoded as one.
    """
    starts = range(0, len(text), params.piece_chars)
    per_batch = max(1, params.batch_bytes // params.piece_chars)
    done: list[np.ndarray] = []
    tail, tail_from, seam_at = (np.empty(0, np.int32), np.empty(0, np.int64)), 0, 0  # what follows the last seam
    for batch in range(0, len(starts), per_batch):
        window = starts[batch : batch + per_batch]
        pieces = [text[s : s + params.piece_chars + OVERLAP] for s in window]
        for start, encoding in zip(window, tokenizer.encode_batch(pieces, add_special_tokens=False), strict=True):
            piece = placed(encoding, start)
            seam = find_seam(tail, piece, text) if start else (0, 0)
            if seam:
                done.append(tail[0][: seam[0]])
                tail, tail_from = (piece[0][seam[1] :], piece[1][seam[1] :]), start
                seam_at = int(tail[1][0]) if len(tail[1]) else start
            else:
                both = text[tail_from : start + params.piece_chars + OVERLAP]
                ids, begins = placed(tokenizer.encode(both, add_special_tokens=False), tail_from)
                first = int(np.searchsorted(begins, seam_at))
                tail = (ids[first:], begins[first:])
    return np.concatenate([*done, tail[0]])


def placed(encoding: Encoding, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a piece and the character of the text at which each of its tokens begins."""
    begins = np.array([begin for begin, _ in encoding.offsets], np.int64) + start
    return np.array(encoding.ids, np.int32), begins


def find_seam(
    left: tuple[np.ndarray, np.ndarray], right: tuple[np.ndarray, np.ndarray], text: str
) -> tuple[int, int] | None:
    """Where to leave `left` for `right`: the place of the same token in both, or None."""
    (left_ids, left_at), (right_ids, right_at) = left, right
    if not len(right_at):
        return None
    lower = int(np.searchsorted(left_at, right_at[0]))
    common = np.intersect1d(left_at[lower:], right_at)
    for character in sorted(common.tolist(), key=lambda c: abs(c - int(right_at[0]) - OVERLAP // 2)):
        i, j = int(np.searchsorted(left_at, character)), int(np.searchsorted(right_at, character))
        begins_word = text[character].isspace() or text[character - 1].isspace()
        if begins_word and agree(left_ids, left_at, i, right_ids, right_at, j):
            return i, j
    return None


def agree(
    left_ids: np.ndarray, left_at: np.ndarray, i: int, right_ids: np.ndarray, right_at: np.ndarray, j: int
) -> bool:
    """Whether AGREE tokens before and after left[i] and right[j] are the same, at the same characters."""
    if min(i, j) < AGREE or i + AGREE > len(left_ids) or j + AGREE > len(right_ids):
        return False
    here, there = slice(i - AGREE, i + AGREE), slice(j - AGREE, j + AGREE)
    return np.array_equal(left_ids[here], right_ids[there]) and np.array_equal(left_at[here], right_at[there])


ENCODE = ShardStage("encode", VERSION, "TOKENS", encode_shard, same=("content_hash",))


def run(documents: list[Shard], duplicates: list[Shard], params: EncodeParams, engine: Engine) -> list[Shard]:
    """TOKENS, a shard beside each shard of DOCUMENTS."""
    eos_id(params)
    reads = (
        (Read(text, ("text",)), Read(verdict, ("document_id", "verdict")))
        for text, verdict in zip(documents, duplicates, strict=True)
    )
    return engine.shards(ENCODE, params, reads)
