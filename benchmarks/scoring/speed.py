"""Pairs of chunks by the scoring engine, against the original's way: every pair read whole, logits of the whole vocabulary.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring/speed.py [N_PAIRS [N_DOCUMENTS]]     400 and 5: an hour of a core

Float32, one thread, the same documents, model and pairs; appends to results/speed.md as it goes. Three ways take turns every
BLOCK pairs, so that whatever else the machine does slows them all alike:

    original        torch's own products, no cache, logits at every position
    original, packed  the same with the engine's products
    ours            the engine

The bound is the rate of the engine's own product by itself, [127, 576] @ [576, 1536], measured between the blocks.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
import torch
import transformers
from all_pairs import MODEL, POOL

from scorers import lm
from scorers.chunk_gain.pairs import first_pairs
from scorers.chunks import Chunks
from scorers.weights import Weights

TO = Path("benchmarks/results/speed.md")
BATCH = 4  # of the original's way
BLOCK = 20  # pairs
C = 128
HEAD = (
    "# The engine against the original's way\n\n"
    "| document | tokens forwarded, original / ours | CPU s: original, with packed products, ours | original / ours | packed / ours "
    "| largest difference, nats | of the FLOP bound |\n|---|---:|---:|---:|---:|---:|---:|\n"
)


def nll_whole(model: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
    """[n] mean nll of the last chunk's tokens 2.. of each row, from all logits."""
    with torch.inference_mode():
        ids = torch.as_tensor(rows)
        logits = model(ids).logits.float()
        scored = torch.nn.functional.cross_entropy(
            logits[:, -C:-1].reshape(-1, logits.shape[-1]), ids[:, -C + 1 :].reshape(-1), reduction="none"
        )
    return scored.reshape(len(rows), C - 1).double().mean(1).numpy()


def original(model: torch.nn.Module, chunks: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    rows = np.array([np.concatenate([chunks[j], chunks[i]]) for i, j in pairs])
    return np.concatenate([nll_whole(model, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)])


def singles(model: torch.nn.Module, chunks: np.ndarray, touched: list[int]) -> None:
    for at in range(0, len(touched), BATCH):
        nll_whole(model, chunks[touched[at : at + BATCH]])


def product_rate(layer: torch.nn.Module) -> tuple[float, float]:
    """FLOP of some products of the engine, and the seconds they take."""
    x = torch.randn(C - 1, layer.in_features)
    with torch.inference_mode():
        began = time.process_time()
        for _ in range(200):
            layer(x)
        return 200 * 2 * x.numel() * layer.out_features, time.process_time() - began


def compare(
    name: str, chunks: np.ndarray, n_pairs: int, engine: lm.LM, plain: torch.nn.Module
) -> tuple[str, list[float]]:
    pairs = sorted(first_pairs(len(chunks), name, n_pairs), key=lambda pair: pair[::-1])
    touched = sorted({place for pair in pairs for place in pair})
    ours = Chunks(engine, chunks, None)
    seconds: dict[str, float] = defaultdict(float)
    values: dict[str, list[np.ndarray]] = defaultdict(list)

    def timed(way: str, run: Callable[[], np.ndarray | None]) -> None:
        began = time.process_time()
        found = run()
        seconds[way] += time.process_time() - began
        if found is not None:
            values[way].append(found)

    timed("original", lambda: singles(plain, chunks, touched))
    timed("packed", lambda: singles(engine.model, chunks, touched))
    flop = bound_seconds = 0.0
    layer = engine.model.base_model.layers[0].mlp.up_proj
    for at in range(0, len(pairs), BLOCK):
        block = pairs[at : at + BLOCK]
        timed("original", lambda: original(plain, chunks, block))  # noqa: B023 run at once
        timed("packed", lambda: original(engine.model, chunks, block))  # noqa: B023
        timed("ours", lambda: ours.after(block))  # noqa: B023
        f, s = product_rate(layer)
        flop, bound_seconds = flop + f, bound_seconds + s
    timed("ours", lambda: ours.alone(touched) * 0)
    found = {way: np.concatenate(v[: -(-len(pairs) // BLOCK)]) for way, v in values.items()}
    off = max(np.abs(found["ours"] - found[way]).max() for way in ("original", "packed"))
    whole = len(pairs) * 2 * C + len(touched) * C
    body = sum(p.numel() for p in plain.model.layers.parameters())
    work = 2 * (ours.forwarded * body + (len(pairs) + len(touched)) * (C - 1) * engine.n_vocab * layer.in_features)
    ratios = [seconds["original"] / seconds["ours"], seconds["packed"] / seconds["ours"]]
    share = work / (flop / bound_seconds) / seconds["ours"]
    assert ours.forwarded == len(pairs) * (C - 1) + len(touched) * C
    line = (
        f"| {name} | {whole:,} / {ours.forwarded:,} = {whole / ours.forwarded:.3f} | {seconds['original']:.1f}, "
        f"{seconds['packed']:.1f}, {seconds['ours']:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {off:.1e} | {share:.0%} |"
    )
    return line, [*ratios, share]


def main(n_pairs: int = 400, n_documents: int = 5) -> None:
    torch.set_num_threads(1)
    weights = Weights.of(MODEL)
    engine = lm.load(lm.ModelParams(weights=weights))
    plain = transformers.AutoModelForCausalLM.from_pretrained(
        lm.converted(weights), dtype=torch.float32, trust_remote_code=False
    ).eval()
    rows = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] == "intact"][::7][:n_documents]
    TO.write_text(HEAD)
    found = []
    for row in rows:
        line, figures = compare(row["name"], np.array(row["input_ids"]).reshape(-1, C), n_pairs, engine, plain)
        found.append(figures)
        with open(TO, "a") as stream:
            stream.write(line + "\n")
        print(line, flush=True)
    a, b, share = (median(column) for column in zip(*found, strict=True))
    with open(TO, "a") as stream:
        stream.write(
            f"\n{n_pairs} pairs a document. Medians: {a:.2f}x, {b:.2f}x with packed products; {share:.0%} of the FLOP bound.\n"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
