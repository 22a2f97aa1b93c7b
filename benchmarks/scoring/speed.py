"""Pairs of chunks by the scoring engine, against the plain way: every pair in full, logits of the whole vocabulary.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring/speed.py [N_PAIRS [N_REPEATS [DTYPE]]]     400, 5, float32

The same documents of the pool, model, pairs and one thread; a document a repeat, the order of the two in turn. Prints a
line for each repeat as it comes, then medians.
"""

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
import torch

from scorers.chunks import Chunks
from scorers.lm import LM, ModelParams, load
from scorers.pairs import first_pairs
from scorers.weights import Weights

POOL, MODEL = Path("data/scoring/pool.parquet"), Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")
BATCH = 4  # of the plain way


def plain(lm: LM, chunks: np.ndarray, pairs: list[tuple[int, int]]) -> tuple[np.ndarray, int]:
    """Mean nll of each pair's target after its context, and the tokens forwarded; single chunks are run too."""
    c, forwarded = chunks.shape[1], 0

    def run(rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            ids = torch.as_tensor(rows)
            logits = lm.model(ids).logits.float()
            scored = torch.nn.functional.cross_entropy(
                logits[:, -c:-1].reshape(-1, logits.shape[-1]), ids[:, -c + 1 :].reshape(-1), reduction="none"
            )
        return scored.reshape(len(rows), c - 1).double().mean(1).numpy()

    found = []
    touched = sorted({place for pair in pairs for place in pair})
    for at in range(0, len(touched), BATCH):
        run(chunks[touched[at : at + BATCH]])
        forwarded += len(touched[at : at + BATCH]) * c
    for at in range(0, len(pairs), BATCH):
        rows = np.array([np.concatenate([chunks[j], chunks[i]]) for i, j in pairs[at : at + BATCH]])
        found.append(run(rows))
        forwarded += rows.size
    return np.concatenate(found), forwarded


def main(n_pairs: int = 400, n_repeats: int = 5, dtype: str = "float32") -> None:
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype=dtype))
    texts = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] == "intact"][::7][:n_repeats]
    parameters = sum(p.numel() for p in lm.model.parameters()) - lm.head.numel()
    ratios, distances = [], []
    for k, row in enumerate(texts):
        chunks = np.array(row["input_ids"], np.int64).reshape(-1, 128)
        pairs = sorted(first_pairs(len(chunks), row["name"], n_pairs), key=lambda pair: pair[::-1])
        seconds, values, tokens = {}, {}, {}
        for way in ("ours", "plain")[:: 1 if k % 2 else -1]:
            began = time.process_time()
            if way == "ours":
                one = Chunks(lm, chunks, None)
                values[way], tokens[way] = one.after(pairs), 0
                tokens[way] = one.forwarded
            else:
                values[way], tokens[way] = plain(lm, chunks, pairs)
            seconds[way] = time.process_time() - began
        flop = 2 * (tokens["ours"] * parameters + (len(pairs) + len(chunks)) * 127 * lm.head.numel())
        a, b = (torch.randn(*shape, dtype=getattr(torch, dtype)) for shape in ((128, 576), (1536, 576)))
        began = time.process_time()
        for _ in range(300):
            torch.nn.functional.linear(a, b)
        peak = 300 * 2 * 128 * 576 * 1536 / (time.process_time() - began)
        ratios.append(seconds["plain"] / seconds["ours"])
        distances.append(flop / seconds["ours"] / peak)
        print(
            f"{row['name']}: tokens {tokens['plain']:,} and {tokens['ours']:,} ({tokens['plain'] / tokens['ours']:.3f}x), CPU s "
            f"{seconds['plain']:.1f} and {seconds['ours']:.1f} ({ratios[-1]:.2f}x), largest difference "
            f"{np.abs(values['plain'] - values['ours']).max():.1e} nats, {distances[-1]:.0%} of a matrix product's FLOP/s",
            flush=True,
        )
    print(f"median of {len(ratios)}: {median(ratios):.2f}x; {median(distances):.0%} of the FLOP bound")


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, int, str), sys.argv[1:], strict=False)))
