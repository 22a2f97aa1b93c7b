"""The ids of texts, without marks: by fastokens where its ids are those of the reference, and why a text has none."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.encode import fast, reference
from pipelines.encode.ids import Ids
from pipelines.encode.marks import respell
from pipelines.encode.params import EncodeParams
from pipelines.encode.tokenizer import load

Library = Callable[[pa.Array, EncodeParams], Ids]  # from texts of about batch_bytes

REASON = "U16"  # numpy type of a reason


def spelled(texts: pa.Array, params: EncodeParams, library: Library) -> tuple[Ids, np.ndarray]:
    """The ids of each text, and why a text was refused; an empty string where it was not."""
    ids = library(texts, params)
    reasons = np.where(ids.failed, "tokenizer_error", "").astype(REASON)
    reasons[(ids.lengths == 0) & ~ids.failed & (pc.binary_length(texts).to_numpy() > 0)] = "no_token"
    ids, unspelled = respell(texts, ids, params)
    for row, reason in unspelled.items():
        reasons[row] = reason
    return ids, reasons


def either(texts: pa.Array, params: EncodeParams) -> Ids:
    """The ids of each text: by fastokens, and by the reference where that raises an error or may not be used."""
    if fast.refusal(params.tokenizer) or not fast.proven(params.tokenizer):
        return by_reference(texts, params)
    ids = fast.encode(params.tokenizer, texts)
    failed = np.flatnonzero(ids.failed)
    return ids.replaced(failed, by_reference(texts.take(pa.array(failed)), params)) if len(failed) else ids


def by_reference(texts: pa.Array, params: EncodeParams) -> Ids:
    return reference.encode(load(params.tokenizer), texts, params)
