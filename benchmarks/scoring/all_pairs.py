"""Measure every pair of chunks of the pool's texts with the packaged model: the reference for the other scores.

    .venv/bin/python benchmarks/scoring/all_pairs.py anchored WORKER N_WORKERS
    .venv/bin/python benchmarks/scoring/all_pairs.py plain WORKER N_WORKERS
    .venv/bin/python benchmarks/scoring/all_pairs.py anchored|plain keep           saves the values to results/

`anchored` measures the intact texts as chunk_gain reads them, `plain` 24 intact and 24 stitched texts as LDS reads them.
Resumes. A core with AVX512-BF16 measures 400 pairs a minute. Earlier values of unchanged texts are read from
results/pool_pairs.parquet and results/pool_plain.parquet. Writes data/scoring/anchored|plain/NAME.jsonl, a line per
context with the nll of every later chunk right after it.
"""

import argparse
import json
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scorers.chunks import Chunks
from scorers.lm import ModelParams, load
from scorers.weights import Weights

POOL, MODEL = Path("data/scoring/pool.parquet"), Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")
OUT, PLAIN = Path("data/scoring/anchored"), Path("data/scoring/plain")
KEPT = {OUT: Path("benchmarks/results/pool_pairs.parquet"), PLAIN: Path("benchmarks/results/pool_plain.parquet")}
N_PLAIN = 6  # texts of a kind and domain


def texts(out: Path) -> list[dict]:
    """The texts to measure, from each domain in turn."""
    rows = pq.read_table(POOL).to_pylist()
    number = {row["name"]: int(row["name"].split("-")[1]) for row in rows}
    if out == OUT:
        rows = [row for row in rows if row["kind"] == "intact"]
    else:
        rows = [row for row in rows if row["kind"] in ("intact", "concat") and number[row["name"]] < N_PLAIN]
    return sorted(rows, key=lambda row: (number[row["name"]], row["kind"], row["domain"]))


def text_hash(ids: list[int]) -> str:
    return blake2b(np.array(ids, "<i4").tobytes(), digest_size=16).hexdigest()


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep(out: Path) -> None:
    """Save the values of every complete text to results/."""
    rows = []
    for row in texts(out):
        lines = lines_of(out / f"{row['name']}.jsonl")
        if len(lines) == len(row["input_ids"]) // 128:
            rows += [{"name": row["name"], "text_hash": text_hash(row["input_ids"]), **line} for line in lines]
    pq.write_table(
        pa.Table.from_pylist(rows),
        KEPT[out],
        compression="zstd",
        use_byte_stream_split=["alone"],
        use_dictionary=["name", "text_hash"],
    )
    print(len({row["name"] for row in rows}), "texts,", KEPT[out].stat().st_size, "bytes")


def restore(out: Path) -> None:
    """Write the saved values of unchanged texts to `out`."""
    hashes = {row["name"]: text_hash(row["input_ids"]) for row in texts(out)}
    saved: dict[str, list[dict]] = {}
    for line in pq.read_table(KEPT[out]).to_pylist() if KEPT[out].exists() else []:
        if hashes.get(line["name"]) == line.pop("text_hash"):
            saved.setdefault(line.pop("name"), []).append(line)
    for name, lines in saved.items():
        if len(lines_of(out / f"{name}.jsonl")) < len(lines):
            (out / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def main(out: Path, worker: int, n_workers: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    restore(out)
    lm = load(ModelParams(weights=Weights.of(MODEL), dtype="bfloat16"))
    for row in texts(out)[worker::n_workers]:
        path = out / f"{row['name']}.jsonl"
        done = {line["context"] for line in lines_of(path)}
        s = len(row["input_ids"]) // 128
        chunks = Chunks(lm, np.array(row["input_ids"], np.int64).reshape(s, 128), lm.anchor if out == OUT else None)
        for context in range(s):
            if context in done:
                continue
            targets = list(range(context + 1, s))
            after = chunks.after([(i, context) for i in targets]).tolist() if targets else []
            alone = float(chunks.alone([context])[0])
            with open(path, "a") as stream:
                stream.write(
                    json.dumps({"context": context, "alone": alone, "targets": targets, "after": after}) + "\n"
                )
        print(row["name"], chunks.forwarded, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=("anchored", "plain"))
    parser.add_argument("worker", help="number of this worker, from 0; or keep")
    parser.add_argument("n_workers", type=int, nargs="?", default=1)
    args = parser.parse_args()
    folder = {"anchored": OUT, "plain": PLAIN}[args.variant]
    keep(folder) if args.worker == "keep" else main(folder, int(args.worker), args.n_workers)
