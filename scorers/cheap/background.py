"""What the cheap scores compare a document with: which words are rare in its domain, and how often chance finds them.

A domain is known by some of its documents, those with the lowest keyed hash of their content: the choice follows
neither their order nor their names, and stays when others come or go. Of each only the middle is read. The even ones
tell of the words, and the odd ones, which the words weren't taken from, what an intact document scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import Self

import numpy as np
import pyarrow as pa

from schemas.tables import BACKGROUND
from scorers.cheap.recurrence import MIN_BLOCKS, NEAR, WIDTH, look_up, recurrence
from scorers.cheap.words import BLOCK, PATTERN, blocks, buffers, cut, number

VERSION = f"1 {NEAR=} {WIDTH=} {BLOCK=} {PATTERN=}"  # what a table of words depends on; one of another is made anew

MAX_DOCUMENTS = 1024  # of a domain: half of them tell a rarity of 1 in 512, which is rare
MAX_BYTES = 1 << 16  # of a document: 30 windows of it tell its words; so a domain is at most 64 MiB
MIN_BYTES = 4096  # of text: about as little as has the blocks that a score needs
MIN_DOCUMENTS = 4  # with a whole window: fewer tell nothing of what is rare, and no word weighs anything
MIN_SCORED = 20  # of fewer intact documents a 10 % point can't be told
GATE = 0.10  # of intact documents that may lie below the gate; below it lie 80 to 98 % of texts stitched of four


@dataclass(frozen=True, eq=False)
class Domain:
    """What is known of one domain; the fields are columns of BACKGROUND."""

    documents: tuple[str, ...]
    keys: np.ndarray
    idf: np.ndarray
    shares: np.ndarray
    unseen: np.ndarray  # [2] float32, idf and share
    min_recurrence: float | None

    @cached_property
    def heads(self) -> np.ndarray:
        """[2**b + 1] int64: keys[heads[i] : heads[i + 1]] begin with the bits i; one or two of them, mostly."""
        bits = max(1, len(self.keys).bit_length() - 1)
        return np.searchsorted(self.keys >> np.uint64(64 - bits), np.arange(2**bits + 1, dtype=np.uint64))

    @property
    def words(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What `recurrence.look_up` reads, in its order."""
        return self.keys, self.heads, self.idf, self.shares, self.unseen


@dataclass(frozen=True, eq=False)
class Background:
    domains: Mapping[str, Domain]

    def table(self, made_by: str) -> pa.Table:
        """BACKGROUND: a row a domain, by name."""
        rows = [
            {
                "domain": name,
                "made_by": made_by,
                "documents": list(known.documents),
                "keys": known.keys,
                "idf": known.idf,
                "shares": known.shares,
                "unseen_idf": known.unseen[0],
                "unseen_share": known.unseen[1],
                "min_recurrence": known.min_recurrence,
            }
            for name, known in sorted(self.domains.items())
        ]
        return pa.Table.from_pylist(rows, BACKGROUND)

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """What `table` gave."""
        domains = {}
        for i, name in enumerate(table["domain"].to_pylist()):
            keys, idf, shares = (table[c][i].values.to_numpy() for c in ("keys", "idf", "shares"))
            unseen = np.array([table["unseen_idf"][i].as_py(), table["unseen_share"][i].as_py()], np.float32)
            documents, gate = table["documents"][i].as_py(), table["min_recurrence"][i].as_py()
            domains[name] = Domain(tuple(documents), keys, idf, shares, unseen, gate)
        return cls(domains)


def choose(content_hashes: Sequence[str], n_bytes: np.ndarray, salt: str, most: int = MAX_DOCUMENTS) -> list[int]:
    """The rows of a domain's documents to describe it by: at most `most`, lowest key first, each content once."""
    keyed = {
        blake2b(f"{salt}\0{content_hashes[row]}".encode(), digest_size=16).digest(): int(row)
        for row in np.flatnonzero(np.asarray(n_bytes) >= MIN_BYTES)[::-1]  # of equal ones the first row stays
    }
    return [row for _, row in sorted(keyed.items())[:most]]


def background(documents: Mapping[str, tuple[Sequence[str], pa.Array]]) -> Background:
    """What is known of each domain by its chosen documents: their content hashes, and their texts in the same order."""
    return Background({name: describe(*documents[name]) for name in sorted(documents)})


def describe(content_hashes: Sequence[str], texts: pa.Array) -> Domain:
    """One domain, by its chosen documents, lowest key first."""
    data, starts = buffers(texts)
    middles = [number(cut(middle(data[a:b]))[0]) for a, b in pairwise(starts)]
    keys, idf, shares, unseen = rarity([windows(*one) for one in middles[0::2]])
    known = Domain(tuple(content_hashes), keys, idf, shares, unseen, None)
    scores = []
    for numbers, distinct in middles[1::2]:
        members, begins = blocks(numbers)
        if len(begins) > MIN_BLOCKS:
            scores.append(recurrence(members, begins, *look_up(distinct, *known.words)))
    measured = [score for score in scores if not np.isnan(score)]
    gate = float(np.quantile(measured, GATE)) if len(measured) >= MIN_SCORED else None
    return Domain(known.documents, keys, idf, shares, unseen, gate)


def middle(text: np.ndarray) -> np.ndarray:
    """At most MAX_BYTES from the middle of a text, cut between characters."""
    begin = max(0, (len(text) - MAX_BYTES) // 2)
    end = min(begin + MAX_BYTES, len(text))
    while begin < end and text[begin] & 0xC0 == 0x80:
        begin += 1
    while end < len(text) and end > begin and text[end] & 0xC0 == 0x80:
        end -= 1
    return text[begin:end]


def windows(numbers: np.ndarray, distinct: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The words of a document's whole windows of WIDTH blocks, and the share of them that holds each. None: has none."""
    members, starts = blocks(numbers)
    n_windows = (len(starts) - 1) // WIDTH
    if n_windows == 0:
        return None
    last = starts[n_windows * WIDTH]
    window = np.repeat(np.arange(len(starts) - 1) // WIDTH, np.diff(starts))[:last]
    held = np.unique(members[:last].astype(np.int64) * n_windows + window) // n_windows
    words, counts = np.unique(held, return_counts=True)
    return distinct[words], counts / n_windows


def rarity(found: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> tuple[np.ndarray, ...]:
    """keys, idf, shares and unseen, see BACKGROUND, by the words of the windows of documents.

    A word of one document alone is left out: what is known of it is known of that document. The weight of a word is at
    most that of one document in all, and no more can be told.
    """
    some = [one for one in found if one is not None]
    n = len(some)
    if n < MIN_DOCUMENTS:
        return np.empty(0, np.uint64), np.empty(0, np.float32), np.empty(0, np.float32), np.zeros(2, np.float32)
    keys, word = np.unique(np.concatenate([words for words, _ in some]), return_inverse=True)
    shares = np.bincount(word, np.concatenate([share for _, share in some])) / n
    several = np.bincount(word) > 1
    keys, shares = keys[several], shares[several]
    idf = np.minimum(-np.log(shares), np.log(n))
    return keys, idf.astype(np.float32), shares.astype(np.float32), np.array([np.log(n), 0.5 / n], np.float32)
