"""From raw text to packed rows: CPU seconds of `longmix build` and of datatrove's pipeline from its own package.

    python benchmarks/beside_datatrove.py --corpus CORPUS --work data/datatrove --datatrove ENV/bin/python

CORPUS contains parquet/*.parquet (id, text). ENV is a virtual environment with `pip install "datatrove[processing,io]"`.
Both drop near duplicates, encode by examples/tokenizer with an EOS after each document, shuffle the documents, and write
rows of 8,192 tokens: longmix one of the recipe's packers, datatrove consecutive windows. datatrove runs its steps as in its
example: signatures, buckets, clusters, filter, tokens, then the merger, which reads all documents in a random order.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

TOKENIZER = Path(__file__).parents[1] / "examples" / "tokenizer" / "tokenizer.json"
EOS = "<|endoftext|>"
ROW_TOKENS = 8_192
RECIPE = f"""
mix = "all"

[encode]
tokenizer = "{TOKENIZER}"
eos_token = "{EOS}"

[plan]
budget_tokens = 1_000_000_000  # more than there are: every kept document is drawn once
long_tokens = 4096
short_rate = 1
max_epochs = 1

[pack]
packer = "concat"
sequence_tokens = {ROW_TOKENS}

[run]
workers = 1

[[sources]]
name = "corpus"
domain = "corpus"
path = "{{corpus}}"
"""


def datatrove(corpus: Path, work: Path) -> None:
    """Runs in datatrove's environment."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer, DocumentTokenizerMerger

    config = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)  # its defaults
    files = len(list((corpus / "parquet").glob("*.parquet")))
    reader = ParquetReader(str(corpus / "parquet"), glob_pattern="*.parquet")
    tokenizer = DocumentTokenizer(f"{work}/tokens", str(TOKENIZER), eos_token=EOS, seed=1)
    steps = [
        ([reader, MinhashDedupSignature(f"{work}/signatures", config=config)], files),
        ([MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)], 1),
        ([reader, MinhashDedupFilter(f"{work}/remove"), tokenizer], files),
        ([DocumentTokenizerMerger(f"{work}/tokens", f"{work}/merged", save_filename="all", seed=1)], 1),
    ]
    for k, (pipeline, tasks) in enumerate(steps):
        executor = LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{work}/logs/{k}")
        executor.run()


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def longmix_rows(root: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in root.glob("datasets/all/latest/sequences-*.parquet"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--datatrove", help="python of an environment with datatrove")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    corpus, work = options.corpus.absolute(), options.work.absolute()
    if not options.datatrove:
        datatrove(corpus, work)
        return
    work.mkdir(parents=True, exist_ok=True)
    recipe = work / "all.toml"
    recipe.write_text(RECIPE.format(corpus=corpus / "parquet"))
    for run in range(options.runs):
        for folder in ("root", "datatrove"):
            shutil.rmtree(work / folder, ignore_errors=True)
        ours = cpu_seconds([sys.executable, "-m", "flows.cli", "build", str(recipe), "--root", str(work / "root")])
        peers = cpu_seconds([options.datatrove, __file__, "--corpus", str(corpus), "--work", str(work / "datatrove")])
        row = {
            "run": run, "longmix": round(ours, 1), "datatrove": round(peers, 1), "ratio": round(peers / ours, 1),
            "rows": longmix_rows(work / "root"), "datatrove_tokens": (work / "datatrove" / "merged" / "000_all.ds").stat().st_size // 2,
        }  # fmt: skip
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
