"""The cheap tier: scores of every document without a model, in one pass over its bytes.

| score | measures | limits |
| --- | --- | --- |
| repeat_share | share of words in verbatim repeats of earlier text | misses pastes with one word in 32 changed |
| recurrence | how often rare words recur far away | also high for repeats, lists and shuffled words: see the others |
| order_z | whether neighbouring blocks are similar | high for stitched texts: the blocks of one piece are similar |
| list_share | share of bytes in rows of equal shape | flags short repetitive code; misses lists with paragraphs |
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.errors import RecipeError, SchemaError
from schemas.kernels import kernel
from schemas.tables import column
from scorers.cheap.background import Background
from scorers.cheap.block_order import order_z
from scorers.cheap.lists import list_share
from scorers.cheap.recurrence import look_up, recurrence
from scorers.cheap.repeats import repeat_share
from scorers.cheap.words import blocks, buffers, cut, number

CHEAP = pa.schema(
    [
        column("n_words", pa.float64(), "words and marks, see scorers/cheap/words.py"),
        column("repeat_share", pa.float64(), "of words in repeats of 32 and more; NULL below 33 words", nullable=True),
        column("recurrence", pa.float64(), "of rare words far away, less chance; NULL below 880 words", nullable=True),
        column("order_z", pa.float64(), "similarity of near blocks, z-score; NULL below 880 words", nullable=True),
        column("list_share", pa.float64(), "of bytes in rows of a list; NULL below 2 lines", nullable=True),
    ]
)


def cheap(texts: pa.Array, domains: Sequence[str], background: Background) -> pa.Table:
    """CHEAP: a row for each text, in order. A row depends only on its text and on the background of its domain.

    Memory: at most 80 bytes per word of the longest text (240 MB for 3 million words), and as much again reserved.

    Args:
        texts: string or large_string, without NULL.
        domains: [n] domain of each text; the background has all of them.

    Raises:
        SchemaError: a text is NULL.
        RecipeError: the background lacks a domain.
    """
    if texts.null_count:
        raise SchemaError(f"cheap: {texts.null_count} of {len(texts)} texts are NULL; every document must have a text")
    scores = np.full((len(texts), len(CHEAP)), np.nan)
    data, starts = buffers(texts)
    by_domain = pa.array(domains, pa.string()).dictionary_encode()
    if len(by_domain) != len(texts):
        raise SchemaError(f"cheap: {len(texts)} texts have {len(by_domain)} domains; each text has one")
    for k, domain in enumerate(by_domain.dictionary.to_pylist()):
        if domain not in background.domains:
            names = ", ".join(sorted(background.domains))
            raise RecipeError(f"cheap: the background has no domain {domain!r}, only {names}; compute it again")
        rows = np.flatnonzero(by_domain.indices.to_numpy() == k)
        measure(data, starts, rows, background.domains[domain].words, scores)
    return pa.table([pa.array(values, from_pandas=True) for values in scores.T], schema=CHEAP)


def compiled(sources: int) -> Callable:
    """`measure`, compiled once for these sources. Compiling it takes two seconds.

    numba stores what it compiles by the values of a function's closure and the file of the function, and does not notice
    changes in the files of the functions called. sources: a hash of these files, so that it does.
    """

    @kernel
    def measure(data: np.ndarray, starts: np.ndarray, rows: np.ndarray, words: tuple, scores: np.ndarray) -> None:
        """Write the columns of CHEAP into `scores` [n, 5] at the rows [m] int64 of one domain; NaN stands for NULL.

        words: Domain.words of that domain.
        """
        assert sources
        for row in rows:
            text = data[starts[row] : starts[row + 1]]
            hashes, _ = cut(text)
            numbers, distinct = number(hashes)
            members, begins = blocks(numbers)
            weights, chances = look_up(distinct, *words)
            scores[row, 0] = len(hashes)
            scores[row, 1] = repeat_share(hashes)
            scores[row, 2] = recurrence(members, begins, weights, chances)
            scores[row, 3] = order_z(members, begins, weights)
            scores[row, 4] = list_share(text)

    return measure


def hash_of_sources() -> int:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return 1 + int.from_bytes(blake2b(b"".join(file.read_bytes() for file in files), digest_size=7).digest())


measure = compiled(hash_of_sources())
