"""The cheap tier: what can be said of every document without a model, in one pass over its bytes.

| score | says | is fooled by |
| --- | --- | --- |
| repeat_share | how much repeats what stood before, word for word | a paragraph pasted with a word changed in each 32 |
| recurrence | how much of the rare words comes back far away | repeats, lists, shuffled or random order: ask the others |
| order_z | whether the order of its blocks shows | stitched texts: neighbours of one piece are very much alike |
| list_share | how much stands in rows of the same shape | short code of one pattern; not lists with paragraphs in them |
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numba import njit

from schemas.errors import RecipeError, SchemaError
from schemas.tables import column
from scorers.cheap.background import Background
from scorers.cheap.block_order import order_z
from scorers.cheap.lists import list_share
from scorers.cheap.recurrence import look_up, recurrence
from scorers.cheap.repeats import repeat_share
from scorers.cheap.words import blocks, buffers, cut, number

CHEAP = pa.schema(
    [
        column("n_words", pa.float64(), "words and marks, see scorers/words.py"),
        column("repeat_share", pa.float64(), "of words in repeats of 32 and more; NULL below 33 words", nullable=True),
        column("recurrence", pa.float64(), "of rare words far away, less chance; NULL below 880 words", nullable=True),
        column("order_z", pa.float64(), "neighbours' likeness against chance; NULL below 880 words", nullable=True),
        column("list_share", pa.float64(), "of bytes in rows of a list; NULL below 2 lines", nullable=True),
    ]
)


def cheap(texts: pa.Array, domains: Sequence[str], background: Background) -> pa.Table:
    """CHEAP, a row for each text, in order. A text's row depends on itself and its domain's background alone.

    Memory: of the longest text at most 80 bytes a word, 240 MB for 3 million words, and as much only reserved.

    Args:
        texts: string or large_string, without NULL.
        domains: [n] of each text, all of them known to the background.
    """
    if texts.null_count:
        raise SchemaError(f"cheap: {texts.null_count} of {len(texts)} texts are NULL; a document has a text")
    found = np.full((len(texts), len(CHEAP)), np.nan)
    data, starts = buffers(texts)
    by_domain = pa.array(domains, pa.string()).dictionary_encode()
    if len(by_domain) != len(texts):
        raise SchemaError(f"cheap: {len(texts)} texts have {len(by_domain)} domains; each text has one")
    for k, domain in enumerate(by_domain.dictionary.to_pylist()):
        if domain not in background.domains:
            known = sorted(background.domains)
            raise RecipeError(f"cheap: the background has no domain {domain!r}, only {known}; renew it")
        measure(
            data, starts, np.flatnonzero(by_domain.indices.to_numpy() == k), *background.domains[domain].words, found
        )
    return pa.table([pa.array(values, from_pandas=True) for values in found.T], schema=CHEAP)


@njit(nogil=True)  # no cache: numba would not see that a file changed which is called from here
def measure(  # noqa: PLR0913, PLR0917 numba: arrays one by one
    data: np.ndarray,
    starts: np.ndarray,
    rows: np.ndarray,
    keys: np.ndarray,
    heads: np.ndarray,
    idf: np.ndarray,
    shares: np.ndarray,
    unseen: np.ndarray,
    found: np.ndarray,
) -> None:
    """Write the columns of CHEAP into `found` [n, 5] at the rows [m] int64 of one domain, NaN for NULL."""
    for row in rows:
        text = data[starts[row] : starts[row + 1]]
        hashes, _ = cut(text)
        numbers, distinct = number(hashes)
        members, begins = blocks(numbers)
        weights, chances = look_up(distinct, keys, heads, idf, shares, unseen)
        found[row, 0] = len(hashes)
        found[row, 1] = repeat_share(hashes)
        found[row, 2] = recurrence(members, begins, weights, chances)
        found[row, 3] = order_z(members, begins, weights)
        found[row, 4] = list_share(text)
