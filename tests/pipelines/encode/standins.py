"""Stand-ins for fastokens that err."""

from collections import defaultdict
from queue import SimpleQueue

import numpy as np

from pipelines.encode import fast


class StandIn:
    """Encodes like fastokens, then changes the ids of each text that `errs` chooses.

    errs: text -> whether one of its ids is wrong.
    raises: text -> whether a batch with it raises an error.
    """

    def __init__(self, tokenizer, errs=lambda _: False, raises=lambda _: False):
        self.tokenizer, self.errs, self.raises = tokenizer, errs, raises
        self.n_texts = 0

    def encode_batch_flat(self, texts, **options):
        if any(map(self.raises, texts)):
            raise ValueError("a byte that the vocabulary lacks")
        self.n_texts += len(texts)
        flat, offsets = self.tokenizer.encode_batch_flat(texts, **options)
        ids, places = np.frombuffer(flat, np.uint32).copy(), np.frombuffer(offsets, np.uint64).astype(int)
        for text, first, last in zip(texts, places, places[1:], strict=False):
            if self.errs(text) and first < last:
                ids[(first + last) // 2] ^= 1
        return ids.tobytes(), offsets


def put_in_place(tokenizer, monkeypatch):
    """Every worker uses this tokenizer in place of fastokens'."""
    monkeypatch.setattr(fast, "refusal", lambda _: "")
    monkeypatch.setattr(fast, "new", lambda _: tokenizer)
    monkeypatch.setattr(fast, "IDLE", defaultdict(SimpleQueue))
