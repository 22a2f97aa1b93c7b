"""Throughput and peak memory of a scorer on one document of a given length, on one core. Prints one line.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring/lengths.py SCORER TOKENS

SCORER is chunk_gain (24 pairs), prolong (40 pairs), infogain, longattn or cheap. Run each in a separate process, since
the peak is that of the process.
"""

import argparse
import json
import random
import resource
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from all_pairs import MODEL
from tokenizers import Tokenizer

from scorers import infogain, lm, longattn, prolong
from scorers.cheap import cheap
from scorers.cheap.background import background, choose
from scorers.chunk_gain import chunks_of, measure, parts
from scorers.chunk_gain.calibration import Calibration
from scorers.chunks import Chunks
from scorers.weights import Weights

SCORERS = ("chunk_gain", "prolong", "infogain", "longattn", "cheap")


def main(scorer: str, n_tokens: int) -> None:
    with zstandard.open("data/corpus/book.jsonl.zst", "rt") as stream:
        rows = [json.loads(line) for line in stream]
    text = max((row["text"] for row in rows), key=len)
    tokenizer = Tokenizer.from_file("examples/tokenizer/tokenizer.json")
    ids = np.array(tokenizer.encode(text[: 8 * n_tokens], add_special_tokens=False).ids[:n_tokens])
    assert len(ids) == n_tokens
    if scorer == "cheap":
        chosen = [rows[k]["text"] for k in choose([row["id"] for row in rows], np.full(len(rows), 10**5), "b")]
        statistics = background({"book": ([str(k) for k in range(len(chosen))], pa.array(chosen))})
        document = tokenizer.decode(ids.tolist())
        cheap(pa.array([document[:5000]]), ["book"], statistics)  # compiles the kernels
    else:
        model = lm.load(lm.ModelParams(weights=Weights.of(MODEL)))
    began = time.process_time()
    if scorer == "cheap":
        cheap(pa.array([document]), ["book"], statistics)
    elif scorer == "chunk_gain":
        chunks = Chunks(model, chunks_of(ids, 128), model.anchor)
        pairs = [pair for block in measure(chunks, "0" * 32, 24, []) for pair in block]
        calibration = Calibration.read(Path("examples/calibration/smollm2-135m-instruct-128.json"))
        parts(pairs, chunks.chunks, "0" * 32, calibration)
    elif scorer == "prolong":
        settings = prolong.ProLongParams(sample_size=40, window_size=131_072)
        prolong.score(model, ids, settings, random.Random(11))
    elif scorer == "infogain":
        infogain.score(model, ids, infogain.InfoGainParams())
    else:
        longattn.score(model, ids, longattn.LongAttnParams())
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {scorer} | {n_tokens:,} | {seconds:.1f} | {n_tokens / seconds:,.0f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scorer", choices=SCORERS)
    parser.add_argument("tokens", type=int)
    args = parser.parse_args()
    main(args.scorer, args.tokens)
