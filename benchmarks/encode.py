"""The encode stage: equal ids, CPU seconds beside the reference, and how surely a wrong fast path is detected.

    python benchmarks/encode.py --root data/mixes --work data/encode ids
    python benchmarks/encode.py --root data/mixes --work data/encode stage
    python benchmarks/encode.py --root data/mixes --work data/encode detection

ROOT holds a built version of mixes/128k.toml: its DOCUMENTS and DUPLICATES are read.

ids: all kept documents through `either` and, each document at once, through tokenizers: for the default tokenizer, and for
one of each family in tests/pipelines/encode/families.py, trained on the corpus with 32,000 pieces. Resumes.
stage: each shard by the stage and by the stage with fastokens hidden, in turns: read, encode, check, write with hashes.
detection: documents are wrong at random, one in N; how often a shard and a build have one among those that are checked.
"""

import argparse
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipelines.actions import Read
from pipelines.batches import batches
from pipelines.encode import ENCODE, differ, either, encode_rows, fast, rows_of, sample_of
from pipelines.encode.params import EncodeParams, Encoding
from pipelines.encode.tokenizer import load
from pipelines.recipe import load as load_recipe
from pipelines.store import Store
from pipelines.versions import latest, tables_of
from tests.pipelines.encode.families import FAMILIES, params_of

RECIPE = Path(__file__).parents[1] / "mixes" / "128k.toml"
TRAIN_BYTES = 1_500_000  # of each domain
SEEDS = 200
ONE_IN = (10, 30, 100, 300, 1_000, 10_000)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def kept_texts(store: Store, documents, duplicates) -> pa.Array:
    verdicts = store.read(duplicates, ("verdict",))["verdict"]
    return store.read(documents, ("text",))["text"].filter(pc.equal(verdicts, "kept")).combine_chunks()


def compare_ids(store: Store, shards, work: Path) -> None:
    results = work / "ids.jsonl"
    done = (
        {(row["tokenizer"], row["shard"]) for row in map(json.loads, results.read_text().splitlines())}
        if results.exists()
        else set()
    )
    for name in ("default", *FAMILIES):
        params = default_params() if name == "default" else trained_on_corpus(name, store, shards, work)
        tokenizer = load(params.tokenizer)
        for documents, duplicates in shards:
            if (name, documents.content_hash) in done:
                continue
            n_texts = n_bytes = n_tokens = n_different = 0
            for batch in batches(kept_texts(store, documents, duplicates), params.batch_bytes):
                ids = either(batch, params)
                for i, encoding in enumerate(tokenizer.encode_batch_fast(batch.to_pylist(), add_special_tokens=False)):
                    n_different += not np.array_equal(ids.row(i), np.array(encoding.ids, np.int32))
                n_texts, n_tokens, n_bytes = n_texts + len(batch), n_tokens + len(ids.values), n_bytes + batch.nbytes
            row = {
                "tokenizer": name, "shard": documents.content_hash, "fast": not fast.refusal(params.tokenizer),
                "documents": n_texts, "mb": n_bytes / 1e6, "tokens": n_tokens, "different": n_different,
            }  # fmt: skip
            with results.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(row, flush=True)


def default_params() -> EncodeParams:
    return load_recipe(RECIPE).encode


def trained_on_corpus(name: str, store: Store, shards, work: Path) -> EncodeParams:
    path = work / f"{name}.json"
    if not path.exists():
        texts = []
        for documents, duplicates in shards:
            (first, *_) = batches(kept_texts(store, documents, duplicates), TRAIN_BYTES)
            texts += [text[:100_000] for text in first.to_pylist()]
        FAMILIES[name](texts, 32_000).save(str(path))
    return params_of(path)


def time_stage(store: Store, shards) -> None:
    encoding = Encoding.of(default_params())
    reads = [(Read(d, ("text", "content_hash", "n_bytes")), Read(v, ("document_id", "verdict"))) for d, v in shards]
    actions = ENCODE.actions(encoding, reads)
    real, seconds, hashes = fast.refusal, {"fast": 0.0, "reference": 0.0}, {}
    fast.proven(encoding.params.tokenizer)  # once a process
    with tempfile.TemporaryDirectory(dir=store.root) as folder:
        own = Store(Path(folder), run="benchmark")
        for table in ("DOCUMENTS", "DUPLICATES"):
            shutil.copytree(store.root / "shards" / table, own.root / "shards" / table, copy_function=os.link)
        for action in actions:
            for path in seconds:
                fast.refusal = real if path == "fast" else lambda _: "hidden"
                before = cpu_seconds()
                ENCODE.make(action, encoding, own)
                seconds[path] += cpu_seconds() - before
                (shard,) = own.find("encode", action.name)
                hashes.setdefault(action.name, set()).add(shard.content_hash)
            print({path: round(value, 2) for path, value in seconds.items()}, flush=True)
    assert all(len(found) == 1 for found in hashes.values()), "the paths gave other tables"
    print(f"ratio {seconds['reference'] / seconds['fast']:.1f}; the same tables by both")


def detect(store: Store, shards) -> None:
    encoding, encoded = Encoding.of(default_params()), []
    for documents, duplicates in shards:
        columns = [
            *zip_columns(store, documents, ("text", "content_hash", "n_bytes")),
            *zip_columns(store, duplicates, ("document_id", "verdict")),
        ]
        table = pa.table(dict(columns))
        sample = table.take(sample_of(table))
        encoded.append((sample, encode_rows(sample, sample, encoding)))
    sizes = [len(sample) for sample, _ in encoded]
    print(f"{len(sizes)} shards with {min(sizes)} to {max(sizes)} checked documents, {sum(sizes)} in all")
    print("one in | shards: computed, found | builds: computed, found in", SEEDS, "seeds")
    for n in ONE_IN:
        found = np.array([[caught(shard, seed, n, encoding) for shard in encoded] for seed in range(SEEDS)])
        shard = np.mean([1 - (1 - 1 / n) ** size for size in sizes])
        build = 1 - (1 - 1 / n) ** sum(sizes)
        print(f"{n:,} | {shard:.3f} {found.mean():.3f} | {build:.3f} {found.any(axis=1).mean():.3f}", flush=True)


def zip_columns(store: Store, shard, names):
    table = store.read(shard, names)
    return zip(names, (table[name] for name in names), strict=True)


def caught(shard, seed: int, n: int, encoding: Encoding) -> bool:
    """Whether the check detects that one token is wrong in each document that a keyed hash chooses, one in n."""
    sample, tokens = shard
    hashes = sample["content_hash"].to_pylist()
    wrong = [i for i, h in enumerate(hashes) if int(hashlib.blake2b(f"{seed} {h}".encode()).hexdigest(), 16) % n == 0]
    if not wrong:
        return False  # nothing to detect among those that are checked
    ids = tokens["input_ids"].combine_chunks()
    values = ids.values.to_numpy().copy()
    for i in wrong:
        values[(ids.offsets[i].as_py() + ids.offsets[i + 1].as_py()) // 2] ^= 1
    place = tokens.column_names.index("input_ids")
    changed = tokens.set_column(place, "input_ids", pa.ListArray.from_arrays(ids.offsets, values))
    rows = np.array(wrong[:1])  # the reference encodes one of them, which is enough
    return differ(sample.take(rows), rows_of(changed, rows), encoding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ids", "stage", "detection"])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    store = Store(options.root.absolute(), run=None)
    tables = tables_of(latest(store.root, "128k"))
    shards = list(zip(tables["DOCUMENTS"], tables["DUPLICATES"], strict=True))
    if options.what == "ids":
        compare_ids(store, shards, options.work)
    elif options.what == "stage":
        time_stage(store, shards)
    else:
        detect(store, shards)


if __name__ == "__main__":
    main()
