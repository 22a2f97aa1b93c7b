"""What became of the texts of a corpus that is encoded already, from its tables: no tokenizer is loaded."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store import Shard, Store


def encoding_rows(documents: Sequence[Shard], tokens: Sequence[Shard], store: Store) -> list[dict[str, Any]]:
    """Source, documents, refused, sampled, lossy and fell_back_shards of each row of the view `encoding`.

    tokens: shards of TOKENS or SAMPLES, each beside one of DOCUMENTS.
    """
    counts: dict[str, Counter] = {}
    for texts, ids in zip(documents, tokens, strict=True):
        column = store.read(texts, ["source"])["source"].combine_chunks().dictionary_encode()
        source, names = column.indices.to_numpy(), column.dictionary.to_pylist()
        for figure, is_counted in flags(ids, store).items():
            for name, n in zip(names, np.bincount(source[is_counted], minlength=len(names)).tolist(), strict=True):
                of_shard = int(n > 0) if figure == "fell_back_shards" else n
                counts.setdefault(name, Counter())[figure] += of_shard
    return [{"source": name, **counts[name]} for name in sorted(counts)]


def flags(tokens: Shard, store: Store) -> dict[str, np.ndarray]:
    """[n] bool of each row, by the figure that counts it. SAMPLES have no sampled documents and do not fall back."""
    names = [name for name in ("status", "decodes", "fell_back") if name in tokens.columns]
    columns = dict(zip(names, store.read(tokens, names).columns, strict=True))
    nothing = pa.nulls(tokens.n_rows, pa.bool_())
    decodes, fell_back = columns.get("decodes", nothing), columns.get("fell_back", nothing)
    return {
        "documents": pc.equal(columns["status"], "encoded").to_numpy(),
        "refused": pc.equal(columns["status"], "refused").to_numpy(),
        "sampled": np.asarray(decodes.is_valid()),
        "lossy": np.asarray(pc.equal(decodes, False).fill_null(False)),
        "fell_back_shards": np.asarray(fell_back.is_valid()),
    }
