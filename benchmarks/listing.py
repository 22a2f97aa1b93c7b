"""How long do `longmix plan` and a build with nothing to make take on a root of 100 GB?

    python benchmarks/listing.py data/corpus /scratch/listing [--gigabytes 100]

Builds a mix of the corpus cut into shards of about 0.3 MB, five thousand in all, then makes every shard and every raw
file larger by a hole until the shards are 100 GB and the raw files too: a hole costs no disk, and whoever reads the file
reads it. A Parquet file keeps its rows, for its footer moves behind the hole. Then it times both commands, in a process
of their own each, and reads the same root with --verify for comparison, of which 1 GB is timed.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from pipelines.ingest import raw_hashes
from pipelines.store.files import seal

ROOT = Path(__file__).parents[1]
SMALL = """
import sys
from pipelines import ingest
from flows import cli

sizes = ingest.Sizes(smallest_bytes=150_000, largest_bytes=450_000, small_file_bytes=0)
ingest.run.__defaults__ = (sizes,)
cli.main()
"""


def longmix(*words: str) -> float:
    """Run the command line with small shards. Returns wall seconds."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", SMALL, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def recipe_of(folder: Path) -> Path:
    """mixes/128k.toml without a model, on the corpus beside it."""
    text = (ROOT / "mixes" / "128k.toml").read_text().replace("../data/corpus", "corpus")
    text = text.replace("../examples", str(ROOT / "examples"))
    first, last = text.index("[score]"), text.index("[plan]")
    path = folder / "listing.toml"
    path.write_text(text[:first] + text[last:])
    return path


def inflate_shard(path: Path, n_bytes: int) -> None:
    """Put a hole between the data and the footer of a Parquet file: all offsets in the footer stay right."""
    raw = path.read_bytes()
    n_footer = int.from_bytes(raw[-8:-4], "little") + 8
    with open(path, "r+b") as stream:  # in place: the published name is another link to it
        stream.truncate(len(raw) - n_footer)
        stream.seek(max(len(raw), n_bytes) - n_footer)
        stream.write(raw[-n_footer:])


def inflate_root(root: Path, n_bytes: int) -> int:
    """Make all shards together `n_bytes`. Returns how many there are."""
    shards = sorted(root.glob("shards/*/*/*.parquet"))
    each, sizes = n_bytes // len(shards), {}
    for path in shards:
        inflate_shard(path, each)
        old = json.loads(path.with_suffix(".seal").read_bytes())
        sizes[path.stem] = path.stat().st_size
        path.with_suffix(".seal").write_text(json.dumps(old | {"n_bytes": sizes[path.stem]}))
    for path in root.glob("datasets/*/*/manifest.json"):
        manifest = json.loads(path.read_bytes())
        for tables in (manifest["tables"], manifest["kept"]):
            for shard in (shard for listed in tables.values() for shard in listed):
                shard["n_bytes"] = sizes[shard["content_hash"]]
        path.write_text(json.dumps(manifest))
    return len(shards)


def inflate_raw(corpus: Path, root: Path, n_bytes: int) -> None:
    """Make the raw files together `n_bytes`, with the hashes that they had."""
    files = sorted(corpus.glob("*.jsonl.zst"))
    with sqlite3.connect(root / raw_hashes.FILE) as con:
        for path in files:
            os.truncate(path, n_bytes // len(files))
            key = os.fsencode(os.path.realpath(path))
            row = (raw_hashes.state_of(path.stat()), path.stat().st_mtime_ns + raw_hashes.RACY_NS, key)
            con.execute("UPDATE raw_hashes SET state = ?, hashed_ns = ? WHERE path = ?", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("folder", type=Path, help="scratch, on a file system with sparse files")
    parser.add_argument("--gigabytes", type=int, default=100)
    args = parser.parse_args()
    root, n_bytes = args.folder / "root", args.gigabytes * 10**9
    shutil.copytree(args.corpus, args.folder / "corpus")
    recipe = str(recipe_of(args.folder))
    print(f"built in {longmix('build', recipe, '--root', str(root)):,.0f} s", flush=True)
    n_shards = inflate_root(root, n_bytes)
    inflate_raw(args.folder / "corpus", root, n_bytes)
    on_disk = sum(path.stat().st_blocks * 512 for path in args.folder.rglob("*") if path.is_file())
    print(
        f"{n_shards:,} shards of {n_bytes / 1e9:,.0f} GB, raw files of as many; {on_disk / 1e9:,.1f} GB on disk",
        flush=True,
    )
    for words in (["plan"], ["build"]):
        seconds = [longmix(*words, recipe, "--root", str(root)) for _ in range(3)]
        print(f"longmix {words[0]}: {min(seconds):.1f} to {max(seconds):.1f} s", flush=True)
    path = min(root.glob("shards/*/*/*.parquet"))
    began, n_read = time.monotonic(), 0
    while n_read < 10**9:
        n_read += seal(path)["n_bytes"]
    rate = n_read / (time.monotonic() - began)
    print(f"checksums read {rate / 1e9:.1f} GB/s of holes: {2 * n_bytes / rate:,.0f} s for all bytes", flush=True)


if __name__ == "__main__":
    main()
