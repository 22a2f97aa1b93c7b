"""Encoders on drawn documents of a built mix: documents a CPU second, and whether two encoders name the same neighbours.

    .venv/bin/python benchmarks/order/encoders.py --root data/mixes --mix 128k --work data/encoders

Each encoder writes WORK/NAME.npz: vectors [n, d] and the domain and content_hash of each row, for the benchmark of orders.
Vectors are kept block by block, so that a stopped run resumes; CPU seconds are counted for the blocks of this run only.
overlap@10: of a document's ten nearest by MiniLM's head, the share that the encoder names too. kept_lift: how much of the
gain over a random document the encoder's ten nearest keep, in MiniLM's cosines. Both are over documents whose content hash
does not begin with 0 to 3: examples/make_encoder.py fits the static table to others of the corpus.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store import Store
from pipelines.versions import latest, tables_of
from scorers.embedding import EncoderParams, load
from scorers.weights import Weights

BLOCK = 64
NEAREST = 10
MOST_CHARS = 1 << 16  # of a document: more than any of these encoders reads
REFERENCE = "minilm-head"
FIT_DIGITS = "0123"  # of examples/make_encoder.py


def drawn_documents(root: Path, mix: str, n: int) -> pa.Table:
    """[n] content_hash, domain and text of drawn documents, lowest content hash first: a sample by content."""
    folder = latest(root, mix)
    assert folder, f"{root}: no version of {mix}"
    tables, store = tables_of(folder), Store(root.absolute(), run=None)
    ids = pa.chunked_array([c for s in tables["DRAWS"] for c in store.read(s, ["document_id"])["document_id"].chunks])
    parts = []
    for shard in tables["DOCUMENTS"]:
        table = store.read(shard, ["document_id", "content_hash", "domain", "text"])
        table = table.filter(pc.is_in(table["document_id"], ids.unique()))
        parts.append(table.set_column(3, "text", pc.utf8_slice_codeunits(table["text"], 0, MOST_CHARS)))
    return pa.concat_tables(parts).sort_by("content_hash").combine_chunks()[:n]


def embedded(name: str, params: EncoderParams, texts: pa.Array, work: Path) -> tuple[np.ndarray, dict]:
    """[n, d] vectors, and the cost of those that were not kept."""
    encoder = load(params)
    encoder.vectors(texts[:2])  # compiles and warms up
    folder, seconds, n_made, parts = work / name, 0.0, 0, []
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(texts), BLOCK):
        path = folder / f"{start:07}.npy"
        if not path.exists():
            began = time.process_time()
            vectors = encoder.vectors(texts[start : start + BLOCK])
            seconds += time.process_time() - began
            n_made += len(vectors)
            np.save(path.with_suffix(".part.npy"), vectors)
            path.with_suffix(".part.npy").rename(path)
        parts.append(np.load(path))
    cost = {"documents": n_made, "cpu_seconds": round(seconds, 2)}
    return np.concatenate(parts), cost | {"per_cpu_second": round(n_made / seconds, 1) if seconds else None}


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """[n, NEAREST] the nearest others, ties by row."""
    similarity = np.rint(vectors @ vectors.T * 1e6).astype(np.int64)
    np.fill_diagonal(similarity, -(10**9))
    return np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]


def agreement(vectors: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n] overlap of each row's neighbours with those by the reference, and [n] the lift that its neighbours keep."""
    near, best = neighbours(vectors), neighbours(reference)
    overlap = np.array([len(np.intersect1d(a, b)) / NEAREST for a, b in zip(near, best, strict=True)])
    cosine = reference @ reference.T
    random = (cosine.sum(axis=1) - 1) / (len(cosine) - 1)
    gain, most = (np.take_along_axis(cosine, each, 1).mean(axis=1) - random for each in (near, best))
    return overlap, gain / most


def figures_of(vectors: np.ndarray, reference: np.ndarray, domain: np.ndarray) -> dict[str, object]:
    """Over all documents, and overlap and kept lift by domain."""
    overlap, lift = agreement(vectors, reference)
    by_domain = {
        name: [round(float(each[domain == name].mean()), 3) for each in (overlap, lift)]
        for name in np.unique(domain).tolist()
    }
    return {"overlap": round(float(overlap.mean()), 4), "kept_lift": round(float(lift.mean()), 4), **by_domain}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path("data/mixes"))
    parser.add_argument("--mix", default="128k")
    parser.add_argument("--work", type=Path, default=Path("data/encoders"))
    parser.add_argument("--model", type=Path, default=Path("data/models/all-MiniLM-L6-v2"))
    parser.add_argument("--table", type=Path, nargs="*", default=[Path("examples/encoder")])
    parser.add_argument("--documents", type=int, default=3021)
    parser.add_argument("--chunked", type=int, default=2000, help="how many of them minilm-chunks reads")
    parser.add_argument("--only", nargs="*", help="names of encoders")
    arguments = parser.parse_args()
    table = drawn_documents(arguments.root, arguments.mix, arguments.documents)
    texts, domain = table["text"].combine_chunks(), table["domain"].to_numpy(zero_copy_only=False)
    content_hash = table["content_hash"].to_numpy(zero_copy_only=False)
    minilm = Weights.of(arguments.model)
    encoders = {
        REFERENCE: EncoderParams(weights=minilm),
        "minilm-512": EncoderParams(weights=minilm, window_tokens=512),
        "minilm-chunks": EncoderParams(weights=minilm, text="chunks"),
        **{f"table-{path.name}": EncoderParams(weights=Weights.of(path)) for path in arguments.table},
        **{
            f"table-{path.name}-{n}": EncoderParams(weights=Weights.of(path), window_tokens=n)
            for path in arguments.table
            for n in (64, 1024)
        },
    }
    reference = None
    for name, params in encoders.items():
        if arguments.only and name not in arguments.only:
            continue
        n = arguments.chunked if name in ("minilm-chunks", "minilm-512") else len(texts)
        vectors, cost = embedded(name, params, texts[:n], arguments.work)
        np.savez(
            arguments.work / f"{name}.npz", vectors=vectors, domain=domain[:n].astype(str),
            content_hash=content_hash[:n].astype(str),
        )  # fmt: skip
        figures: dict[str, object] = {"encoder": name, "n": n, "dimensions": vectors.shape[1], **cost}
        if name == REFERENCE:
            reference = vectors
        if reference is not None:
            other = np.array([each[0] not in FIT_DIGITS for each in content_hash[:n].astype(str)])
            figures |= figures_of(vectors[other], reference[:n][other], domain[:n][other])
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
