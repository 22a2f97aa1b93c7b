"""The ids of a long text by the reference library, from pieces that overlap.

One huge document is then work for all threads, and needs the memory of a batch. Time grows with the length of the text.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

OVERLAP = 2_000  # characters that neighbouring pieces share
AGREE = 8  # tokens that must be equal on either side of a seam


class Placed(NamedTuple):
    """Tokens and where they begin.

    Attributes:
        ids: [n] int32.
        at: [n] int64, the character of the text at which each token begins, ascending.
    """

    ids: np.ndarray
    at: np.ndarray

    def part(self, first: int, last: int | None = None) -> "Placed":
        return Placed(self.ids[first:last], self.at[first:last])


def encode_pieces(tokenizer: Tokenizer, text: str, piece_chars: int, batch_bytes: int) -> np.ndarray:
    """int32 ids of one text: as if it was encoded at once, from pieces of `piece_chars` and OVERLAP characters.

    Neighbouring pieces are joined at a token around which AGREE tokens on either side are equal in both. A piece that
    has no such token is encoded again, together with the piece before it and as many characters again, so that the
    characters encoded are a small multiple of those of the text even if no pieces can be joined.

    Args:
        batch_bytes: of the pieces that are encoded at a time, unless a single one is longer.
    """
    joined: list[np.ndarray] = []
    tail = Placed(np.empty(0, np.int32), np.empty(0, np.int64))  # tokens after the last seam
    tail_start = start = 0  # where the text of the tail's encoding, and that of the next piece, begin
    while start < len(text):
        for piece in pieces(tokenizer, text, start, piece_chars, batch_bytes):
            seam = find_seam(tail, piece, start) if start else (0, 0)
            if seam is None:
                length = 2 * (start + piece_chars - tail_start)
                longer = encode_piece(tokenizer, text, tail_start, length)
                first = int(np.searchsorted(longer.at, tail.at[0])) if len(tail.at) else 0
                tail, start = longer.part(first), tail_start + length
                break
            joined.append(tail.ids[: seam[0]])
            tail, tail_start = piece.part(seam[1]), start
            start += piece_chars
    return np.concatenate([*joined, tail.ids])


def pieces(tokenizer: Tokenizer, text: str, start: int, piece_chars: int, batch_bytes: int) -> Iterator[Placed]:
    """The pieces of a text from `start`, encoded in batches."""
    batch: dict[int, str] = {}  # where a piece begins, and its text
    n_bytes = 0
    for begin in range(start, len(text), piece_chars):
        piece = text[begin : begin + piece_chars + OVERLAP]
        if batch and n_bytes + len(piece.encode()) > batch_bytes:
            yield from encode_batch(tokenizer, batch)
            batch, n_bytes = {}, 0
        batch[begin] = piece
        n_bytes += len(piece.encode())
    yield from encode_batch(tokenizer, batch)


def encode_batch(tokenizer: Tokenizer, batch: dict[int, str]) -> Iterator[Placed]:
    for encoding, begin in zip(tokenizer.encode_batch([*batch.values()], add_special_tokens=False), batch, strict=True):
        yield placed(encoding, begin)


def encode_piece(tokenizer: Tokenizer, text: str, start: int, length: int) -> Placed:
    return placed(tokenizer.encode(text[start : start + length + OVERLAP], add_special_tokens=False), start)


def placed(encoding: Encoding, start: int) -> Placed:
    begins = np.fromiter((begin for begin, _ in encoding.offsets), np.int64, len(encoding.ids))
    return Placed(np.array(encoding.ids, np.int32), begins + start)


def find_seam(left: Placed, right: Placed, start: int) -> tuple[int, int] | None:
    """Where to leave `left` for `right`: the places of the same token in both, or None.

    start: the character at which `right` begins; the seam is as near to the middle of the overlap as it can be.
    """
    lower = int(np.searchsorted(left.at, start))
    common = np.intersect1d(left.at[lower:], right.at)
    for character in common[np.argsort(np.abs(common - start - OVERLAP // 2), kind="stable")]:
        i, j = int(np.searchsorted(left.at, character)), int(np.searchsorted(right.at, character))
        if agree(left, i, right, j):
            return i, j
    return None


def agree(left: Placed, i: int, right: Placed, j: int) -> bool:
    """Whether AGREE tokens before and after left[i] and right[j] are equal, at the same characters."""
    if min(i, j) < AGREE or i + AGREE > len(left.ids) or j + AGREE > len(right.ids):
        return False
    one, other = left.part(i - AGREE, i + AGREE), right.part(j - AGREE, j + AGREE)
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.at, other.at)
