"""Small random mixes with vectors, and the order stage on them."""

import numpy as np
import pyarrow as pa

from pipelines import order
from pipelines.order import OrderParams
from schemas.tables import EMBEDDINGS
from scorers.embedding import EncoderParams
from scorers.weights import Weights
from tests.pipelines.corpora import engine_in
from tests.pipelines.order.vectors import unit

ENCODER = EncoderParams(weights=Weights(path="none", hash="0"))
PARAMS = OrderParams(by="greedy_edge", encoder=ENCODER, near_similarity=0.9, neighbours=5, partition_documents=12)


def embedded(mix, seed, n_clusters=6, spread=0.35):
    """EMBEDDINGS of the drawn documents, of which one in fifteen has no vector; document_id -> vector."""
    rng = np.random.default_rng(seed)
    drawn = {row["document_id"] for row in mix.rows(mix.draws)}
    shards, vectors = [], {}
    for shard in mix.corpus.documents:
        ids = mix.store.read(shard, ("document_id",))["document_id"].to_pylist()
        rows = []
        for document_id, vector in zip(ids, unit(len(ids), 8, seed, n_clusters, spread), strict=True):
            is_empty = document_id in drawn and rng.random() < 1 / 15
            has = document_id in drawn and not is_empty
            vectors[document_id] = vector if has else np.zeros(8, np.float32)
            status = "embedded" if has else "empty" if is_empty else "not_drawn"
            rows.append({"document_id": document_id, "status": status, "vector": vector.tolist() if has else None})
        shards.append(mix.store.write("EMBEDDINGS", pa.Table.from_pylist(rows, schema=EMBEDDINGS)))
    return shards, vectors


def tables_of(mix, shards, **changes):
    return {
        "DOCUMENTS": mix.corpus.documents, "TOKENS": mix.corpus.tokens, "DRAWS": mix.draws, "EMBEDDINGS": shards, **changes
    }  # fmt: skip


def ordered(mix, seed, root, params=PARAMS, base=None, workers=1, **changes):
    """What the stage made, and document_id -> vector."""
    shards, vectors = embedded(mix, seed)
    return order.run(tables_of(mix, shards, **changes), params, ("s",), base or {}, engine_in(root, workers)), vectors
