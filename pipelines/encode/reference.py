"""Encoding by tokenizers, the reference: any tokenizer.json, about 1 MB of text a CPU second."""

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from pipelines.batches import batches
from pipelines.encode.attempt import attempted
from pipelines.encode.ids import Ids
from pipelines.encode.params import EncodeParams
from pipelines.encode.pieces import encode_pieces


def encode(tokenizer: Tokenizer, texts: pa.Array, params: EncodeParams) -> Ids:
    """The ids of each text. Memory: about 150 bytes for each token of a batch, besides the ids.

    A text that tokenizers cannot encode, such as unknown text in a Unigram model without a token for it, fails alone.
    """
    return Ids.of(
        [
            ids
            for batch in batches(texts, params.batch_bytes)
            for ids in encode_batch(tokenizer, batch.to_pylist(), params)
        ]
    )


def encode_batch(tokenizer: Tokenizer, batch: list[str], params: EncodeParams) -> list[np.ndarray | None]:
    """int32 ids of each text, None where the library raises an error."""
    if len(batch) == 1 and len(batch[0]) > params.piece_chars:
        return [attempted(lambda: encode_pieces(tokenizer, batch[0], params.piece_chars, params.batch_bytes))]
    encodings = attempted(lambda: tokenizer.encode_batch_fast(batch, add_special_tokens=False))
    if encodings is not None:
        return [np.array(encoding.ids, np.int32) for encoding in encodings]
    if len(batch) == 1:
        return [None]
    return [ids for text in batch for ids in encode_batch(tokenizer, [text], params)]
