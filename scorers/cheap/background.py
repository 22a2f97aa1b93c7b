"""Word statistics of each domain: how rare each word is, and how likely a document of the domain contains it by chance.

The statistics of a domain come from a sample of its documents: those with the lowest keyed hash of their content. So
the sample does not depend on order or names and changes little when documents are added or removed. Only the middle of
each text is read. Documents with an even index give the word statistics; those with an odd index, which are disjoint
from them, give the recurrence scores of intact documents.
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

VERSION = f"1 {NEAR=} {WIDTH=} {BLOCK=} {PATTERN=}"  # statistics of another version are computed again

MAX_DOCUMENTS = 1024  # per domain: half of them resolve a rarity of 1 in 512
MAX_BYTES = 1 << 16  # per document: 30 windows, enough for its words; a domain is at most 64 MiB
MIN_BYTES = 4096  # of text: about the shortest that has enough blocks for a score
MIN_DOCUMENTS = 4  # with a full window; with fewer, rarity is undefined and all weights are 0
MIN_SCORED = 20  # intact documents needed for a 10th percentile
GATE = 0.10  # quantile of intact documents at the gate; 80 to 98 % of texts stitched from four documents are below it


@dataclass(frozen=True, eq=False)
class Domain:
    """Word statistics of one domain; the fields are columns of BACKGROUND."""

    documents: tuple[str, ...]
    keys: np.ndarray
    idf: np.ndarray
    shares: np.ndarray
    unseen: np.ndarray  # [2] float32, idf and share
    min_recurrence: float | None

    @cached_property
    def heads(self) -> np.ndarray:
        """[2**b + 1] int64: the leading b bits of keys[heads[i] : heads[i + 1]] are i; mostly one or two keys."""
        bits = max(1, len(self.keys).bit_length() - 1)
        return np.searchsorted(self.keys >> np.uint64(64 - bits), np.arange(2**bits + 1, dtype=np.uint64))

    @property
    def words(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The arguments of `recurrence.look_up` after the first."""
        return self.keys, self.heads, self.idf, self.shares, self.unseen


@dataclass(frozen=True, eq=False)
class Background:
    domains: Mapping[str, Domain]

    def table(self, made_by: str) -> pa.Table:
        """BACKGROUND: one row per domain, by name."""
        rows = [
            {
                "domain": name,
                "made_by": made_by,
                "documents": list(domain.documents),
                "keys": domain.keys,
                "idf": domain.idf,
                "shares": domain.shares,
                "unseen_idf": domain.unseen[0],
                "unseen_share": domain.unseen[1],
                "min_recurrence": domain.min_recurrence,
            }
            for name, domain in sorted(self.domains.items())
        ]
        return pa.Table.from_pylist(rows, BACKGROUND)

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """The inverse of `table`."""
        domains = {}
        for i, name in enumerate(table["domain"].to_pylist()):
            keys, idf, shares = (table[c][i].values.to_numpy() for c in ("keys", "idf", "shares"))
            unseen = np.array([table["unseen_idf"][i].as_py(), table["unseen_share"][i].as_py()], np.float32)
            documents, gate = table["documents"][i].as_py(), table["min_recurrence"][i].as_py()
            domains[name] = Domain(tuple(documents), keys, idf, shares, unseen, gate)
        return cls(domains)


def choose(
    content_hashes: Sequence[str], n_bytes: np.ndarray, salt: str, max_documents: int = MAX_DOCUMENTS
) -> list[int]:
    """Rows of the sampled documents: at most `max_documents`, lowest key first, each content once."""
    keyed = {
        blake2b(f"{salt}\0{content_hashes[row]}".encode(), digest_size=16).digest(): int(row)
        for row in np.flatnonzero(np.asarray(n_bytes) >= MIN_BYTES)[::-1]  # the first row of equal contents wins
    }
    return [row for _, row in sorted(keyed.items())[:max_documents]]


def background(documents: Mapping[str, tuple[Sequence[str], pa.Array]]) -> Background:
    """The statistics of each domain from the content hashes and the texts of its sampled documents."""
    return Background({name: describe(*documents[name]) for name in sorted(documents)})


def describe(content_hashes: Sequence[str], texts: pa.Array) -> Domain:
    """The statistics of one domain from its sampled documents, lowest key first."""
    data, starts = buffers(texts)
    middles = [number(cut(middle(data[a:b]))[0]) for a, b in pairwise(starts)]
    keys, idf, shares, unseen = rarity([windows(*words) for words in middles[0::2]])
    domain = Domain(tuple(content_hashes), keys, idf, shares, unseen, None)
    scores = []
    for numbers, distinct in middles[1::2]:
        members, begins = blocks(numbers)
        if len(begins) > MIN_BLOCKS:
            scores.append(recurrence(members, begins, *look_up(distinct, *domain.words)))
    measured = [score for score in scores if not np.isnan(score)]
    gate = float(np.quantile(measured, GATE)) if len(measured) >= MIN_SCORED else None
    return Domain(domain.documents, keys, idf, shares, unseen, gate)


def middle(text: np.ndarray) -> np.ndarray:
    """At most MAX_BYTES from the middle of a UTF-8 text, cut between characters."""
    begin = max(0, (len(text) - MAX_BYTES) // 2)
    end = min(begin + MAX_BYTES, len(text))
    while begin < end and text[begin] & 0xC0 == 0x80:
        begin += 1
    while end < len(text) and end > begin and text[end] & 0xC0 == 0x80:
        end -= 1
    return text[begin:end]


def windows(numbers: np.ndarray, distinct: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Words in a document's full windows of WIDTH blocks and the share of windows with each; None: no window."""
    members, starts = blocks(numbers)
    n_windows = (len(starts) - 1) // WIDTH
    if n_windows == 0:
        return None
    last = starts[n_windows * WIDTH]
    window = np.repeat(np.arange(len(starts) - 1) // WIDTH, np.diff(starts))[:last]
    pairs = np.sort(members[:last].astype(np.int64) * n_windows + window)  # faster than np.unique, which hashes
    words = pairs[np.flatnonzero(np.diff(pairs, prepend=-1))] // n_windows
    begins = np.flatnonzero(np.diff(words, prepend=-1))
    return distinct[words[begins]], np.diff(begins, append=len(words)) / n_windows


def rarity(windows_of_documents: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> tuple[np.ndarray, ...]:
    """keys, idf, shares and unseen, see BACKGROUND, from what `windows` returns for each document.

    Words of a single document are left out, since they describe that document and not the domain. idf is at most
    log(n_documents), the idf of a word in every window of one document.
    """
    with_windows = [words_and_shares for words_and_shares in windows_of_documents if words_and_shares is not None]
    n = len(with_windows)
    if n < MIN_DOCUMENTS:
        return np.empty(0, np.uint64), np.empty(0, np.float32), np.empty(0, np.float32), np.zeros(2, np.float32)
    keys, word = np.unique(np.concatenate([words for words, _ in with_windows]), return_inverse=True)
    shares = np.bincount(word, np.concatenate([share for _, share in with_windows])) / n
    several = np.bincount(word) > 1
    keys, shares = keys[several], shares[several]
    idf = np.minimum(-np.log(shares), np.log(n))
    return keys, idf.astype(np.float32), shares.astype(np.float32), np.array([np.log(n), 0.5 / n], np.float32)
