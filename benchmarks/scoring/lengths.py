"""Throughput and memory of every scorer by document length, on one core, and a document of 128K tokens.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring/lengths.py SCORER TOKENS     one line; a process each, for its peak

SCORER is chunk_gain (24 pairs), prolong (40 pairs), infogain, longattn or cheap.
"""

import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from all_pairs import MODEL
from tokenizers import Tokenizer

from pipelines.score.measure import chunks_of
from scorers import infogain, lm, longattn, prolong
from scorers.cheap import cheap
from scorers.cheap.background import background, choose
from scorers.chunk_gain import measure, parts
from scorers.chunk_gain.calibration import Calibration
from scorers.chunks import Chunks
from scorers.weights import Weights


def main(scorer: str, n_tokens: int) -> None:
    import json

    with zstandard.open("data/corpus/book.jsonl.zst", "rt") as stream:
        rows = [json.loads(line) for line in stream]
    text = max((row["text"] for row in rows), key=len)
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    ids = np.array(tokenizer.encode(text[: 8 * n_tokens], add_special_tokens=False).ids[:n_tokens])
    assert len(ids) == n_tokens
    if scorer == "cheap":
        chosen = [rows[k]["text"] for k in choose([row["id"] for row in rows], np.full(len(rows), 10**5), "b")]
        known = background({"book": ([str(k) for k in range(len(chosen))], pa.array(chosen))})
        whole = tokenizer.decode(ids.tolist())
        cheap(pa.array([whole[:5000]]), ["book"], known)
        engine = None
    else:
        engine = lm.load(lm.ModelParams(weights=Weights.of(MODEL)))
    began = time.process_time()
    if scorer == "cheap":
        cheap(pa.array([whole]), ["book"], known)
    elif scorer == "chunk_gain":
        chunks = Chunks(engine, chunks_of(ids, 128), engine.anchor)
        pairs = [pair for block in measure(chunks, "0" * 32, 24, []) for pair in block]
        made_for = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))
        parts(pairs, chunks.chunks, "0" * 32, made_for)
    elif scorer == "prolong":
        settings = prolong.ProLongParams(sample_size=40, window_size=131_072)
        prolong.score(engine, ids, settings, random.Random(11))
    elif scorer == "infogain":
        infogain.score(engine, ids, infogain.InfoGainParams())
    else:
        longattn.score(engine, ids, longattn.LongAttnParams())
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {scorer} | {n_tokens:,} | {seconds:.1f} | {n_tokens / seconds:,.0f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
