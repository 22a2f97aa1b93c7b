"""Speed of the scoring engine on pairs of chunks, compared with the original code, which has no cache and full logits.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/scoring/speed.py [N_PAIRS [N_DOCUMENTS]]

The defaults, 400 and 5, take an hour of a core. Float32, one thread; the same documents, model and pairs. Appends to
results/speed.md after each document. Three variants alternate every BLOCK pairs, so that other load on the machine slows
all of them equally:

    original          torch's matrix products, no cache, logits at every position
    original, packed  the same with the engine's packed matrix products
    ours              the engine

The bound is the rate of the engine's matrix product alone, [127, 576] @ [576, 1536], measured between the blocks.
"""

import argparse
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
BATCH = 4  # pairs per pass of the original
BLOCK = 20  # pairs
C = 128
HEAD = (
    "# The scoring engine compared with the original code\n\n"
    "| document | tokens forwarded, original / ours | CPU s: original, with packed products, ours | original / ours | packed / ours "
    "| largest difference, nats | of the FLOP bound |\n|---|---:|---:|---:|---:|---:|---:|\n"
)


def nll_full(model: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
    """[n] mean nll of tokens 2.. of the last chunk of each row, from full logits."""
    with torch.inference_mode():
        ids = torch.as_tensor(rows)
        logits = model(ids).logits.float()
        scored = torch.nn.functional.cross_entropy(
            logits[:, -C:-1].reshape(-1, logits.shape[-1]), ids[:, -C + 1 :].reshape(-1), reduction="none"
        )
    return scored.reshape(len(rows), C - 1).double().mean(1).numpy()


def original(model: torch.nn.Module, chunks: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    rows = np.array([np.concatenate([chunks[j], chunks[i]]) for i, j in pairs])
    return np.concatenate([nll_full(model, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)])


def singles(model: torch.nn.Module, chunks: np.ndarray, places: list[int]) -> None:
    for at in range(0, len(places), BATCH):
        nll_full(model, chunks[places[at : at + BATCH]])


def product_rate(layer: torch.nn.Module) -> tuple[float, float]:
    """FLOP and seconds of 200 matrix products of the engine."""
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
    places = sorted({place for pair in pairs for place in pair})
    ours = Chunks(engine, chunks, None)
    seconds: dict[str, float] = defaultdict(float)
    values: dict[str, list[np.ndarray]] = defaultdict(list)

    def timed(variant: str, run: Callable[[], np.ndarray | None]) -> None:
        began = time.process_time()
        nll = run()
        seconds[variant] += time.process_time() - began
        if nll is not None:
            values[variant].append(nll)

    timed("original", lambda: singles(plain, chunks, places))
    timed("packed", lambda: singles(engine.model, chunks, places))
    flop = bound_seconds = 0.0
    layer = engine.model.base_model.layers[0].mlp.up_proj
    for at in range(0, len(pairs), BLOCK):
        block = pairs[at : at + BLOCK]
        timed("original", lambda: original(plain, chunks, block))  # noqa: B023 called immediately
        timed("packed", lambda: original(engine.model, chunks, block))  # noqa: B023
        timed("ours", lambda: ours.after(block))  # noqa: B023
        f, s = product_rate(layer)
        flop, bound_seconds = flop + f, bound_seconds + s
    timed("ours", lambda: ours.alone(places) * 0)
    after = {variant: np.concatenate(v[: -(-len(pairs) // BLOCK)]) for variant, v in values.items()}
    difference = max(np.abs(after["ours"] - after[variant]).max() for variant in ("original", "packed"))
    n_original = len(pairs) * 2 * C + len(places) * C
    body = sum(p.numel() for p in plain.model.layers.parameters())
    work = 2 * (ours.forwarded * body + (len(pairs) + len(places)) * (C - 1) * engine.n_vocab * layer.in_features)
    ratios = [seconds["original"] / seconds["ours"], seconds["packed"] / seconds["ours"]]
    share = work / (flop / bound_seconds) / seconds["ours"]
    assert ours.forwarded == len(pairs) * (C - 1) + len(places) * C
    line = (
        f"| {name} | {n_original:,} / {ours.forwarded:,} = {n_original / ours.forwarded:.3f} | {seconds['original']:.1f}, "
        f"{seconds['packed']:.1f}, {seconds['ours']:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {difference:.1e} | {share:.0%} |"
    )
    return line, [*ratios, share]


def main(n_pairs: int, n_documents: int) -> None:
    torch.set_num_threads(1)
    weights = Weights.of(MODEL)
    engine = lm.load(lm.ModelParams(weights=weights))
    plain = transformers.AutoModelForCausalLM.from_pretrained(
        lm.converted(weights), dtype=torch.float32, trust_remote_code=False
    ).eval()
    rows = [row for row in pq.read_table(POOL).to_pylist() if row["kind"] == "intact"][::7][:n_documents]
    TO.write_text(HEAD)
    by_document = []
    for row in rows:
        line, figures = compare(row["name"], np.array(row["input_ids"]).reshape(-1, C), n_pairs, engine, plain)
        by_document.append(figures)
        with open(TO, "a") as stream:
            stream.write(line + "\n")
        print(line, flush=True)
    a, b, share = (median(column) for column in zip(*by_document, strict=True))
    with open(TO, "a") as stream:
        stream.write(
            f"\n{n_pairs} pairs a document. Medians: {a:.2f}x, {b:.2f}x with packed products; {share:.0%} of the FLOP bound.\n"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n_pairs", type=int, nargs="?", default=400)
    parser.add_argument("n_documents", type=int, nargs="?", default=5)
    args = parser.parse_args()
    main(args.n_pairs, args.n_documents)
