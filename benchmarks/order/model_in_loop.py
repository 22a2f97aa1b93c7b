"""What a language model gains from an order: its nll in windows of 8,192 tokens.

    python benchmarks/order/model_in_loop.py --root ROOT --mix MIX --recipe RECIPE --work DIR run --share 1/2 &
    python benchmarks/order/model_in_loop.py --root ROOT --mix MIX --recipe RECIPE --work DIR run --share 2/2
    python benchmarks/order/model_in_loop.py --root ROOT --mix MIX --recipe RECIPE --work DIR report

ROOT holds a built mix with an [order]: its drawn documents of at most 8,191 tokens are ordered again by each order, from the
same neighbour lists, and packed by `in_order`. Of each order 40 windows (`--windows`) with at least two documents are read by
the packaged model, drawn by a hash of their first document. Their documents are read again

    shuffled    dealt at random over as many windows
    masked      each by itself

Every pass begins with EOS, so the first token of a document is always predicted from an EOS. A value is kept under the hash
of the tokens of its pass as soon as it is measured, and a stopped run goes on.

report: differences in nats per token, weighted by tokens, paired by document; intervals by 2,000 bootstraps over windows.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2]))

from pipelines.encode import eos_id
from pipelines.keys import keyed, salt
from pipelines.order.embedded import Embedded
from pipelines.order.group import heads, induced, paths_of
from pipelines.order.members import Members
from pipelines.order.neighbours import nearest
from pipelines.order.orders import ORDERS, OrderDocuments
from pipelines.order.products import one_thread
from pipelines.pack.packers import PACKERS, Drawn, Rows
from pipelines.recipe import load as load_recipe
from pipelines.store import Store
from pipelines.versions import latest, tables_of

ORDERS_READ = ("random", "greedy_edge", "released", "paper", "cluster_path", "bm25_buffer", "path")
CAPACITY = 8191  # and an EOS before
KINDS = ("ordered", "shuffled", "masked")
SEED = 0
MODEL = Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")


@dataclass(frozen=True)
class Corpus:
    """The documents that may be read, ascending by content_hash.

    Attributes:
        lengths: [n] tokens.
        domain: [n] object.
        paths: order -> [m] documents; near copies are on none.
    """

    members: Members
    lengths: np.ndarray
    domain: np.ndarray
    paths: dict[str, np.ndarray]


def corpus_of(root: Path, mix: str, recipe_path: Path, orders: Sequence[str]) -> tuple[Corpus, Store, list]:
    recipe, store = load_recipe(recipe_path), Store(root.absolute(), run=None)
    tables = tables_of(latest(root, mix))
    members = Members.of(tables, [source.name for source in recipe.sources], [], store)
    draws = pa.concat_tables([store.read(s, ("document_id", "domain", "n_tokens", "epoch")) for s in tables["DRAWS"]])
    draws = draws.filter(pa.array(draws["epoch"].to_numpy() == 0))
    place = members.find(draws["document_id"])
    lengths, domain = np.zeros(len(members), np.int64), np.empty(len(members), object)
    lengths[place], domain[place] = draws["n_tokens"].to_numpy(), draws["domain"].to_numpy(zero_copy_only=False)
    fits = np.flatnonzero(lengths <= CAPACITY)
    vectors = np.concatenate([block for _, block in Embedded(tables["EMBEDDINGS"], members, store).blocks()])
    read = np.concatenate([own for own, _ in Embedded(tables["EMBEDDINGS"], members, store).blocks()])
    vectors = vectors[np.argsort(read)][fits]
    own = members.take(fits)
    with one_thread():
        places = np.stack([np.zeros(len(fits), np.int32), np.full(len(fits), -1, np.int32)], axis=1)
        near = nearest(vectors, places, own.rank, recipe.order.settings.search)
        stays = np.flatnonzero(~near.leaves)
        own, graph = own.take(stays), induced(near.graph, stays)
        table = pa.table({"shard": own.shard, "row": own.row, **{c: own.paths[c] for c in own.paths.column_names}})
        documents = OrderDocuments(
            n=len(stays), content=own.content, seed=SEED, vectors=vectors[stays],
            texts=heads(table, tables["DOCUMENTS"], store), paths=paths_of(table),
        )  # fmt: skip
        paths = {name: ORDERS[name](graph, documents)[0] for name in orders}
    print(f"{len(members):,} documents, {len(fits):,} fit, {near.leaves.sum():,} near copies left", flush=True)
    return Corpus(own, lengths[fits][stays], domain[fits][stays], paths), store, tables["TOKENS"]


def packed(order: np.ndarray, lengths: np.ndarray, packer: str) -> list[np.ndarray]:
    """Windows of documents."""
    n = len(order)
    drawn = Drawn(lengths[order], np.arange(n), np.zeros(n, np.int64), np.ones(n, bool))
    rows: Rows = PACKERS[packer](drawn, CAPACITY, None)
    return [order[rows.draw[a:b]] for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]


def windows_of(corpus: Corpus, name: str, n_windows: int) -> dict[str, list[np.ndarray]]:
    """kind -> windows of documents, for ordered, shuffled and masked."""
    windows = [w for w in packed(corpus.paths[name], corpus.lengths, "in_order") if len(w) > 1]
    keys = keyed(corpus.members.content[[w[0] for w in windows]], salt("windows", SEED))
    chosen = [windows[i] for i in np.argsort(keys)[:n_windows]]
    documents = np.concatenate(chosen)
    at_random = documents[np.argsort(keyed(corpus.members.content[documents], salt("shuffled", SEED)))]
    dealt = packed(at_random, corpus.lengths, "best_fit")
    inside = salt("inside", SEED)
    dealt = [w[np.argsort(keyed(corpus.members.content[w], inside))] for w in dealt]
    return {"ordered": chosen, "shuffled": dealt, "masked": [documents[i : i + 1] for i in range(len(documents))]}


class Texts:
    """The tokens of documents, read shard by shard when they are first needed."""

    def __init__(self, members: Members, tokens: list, store: Store):
        self.members, self.tokens, self.store = members, tokens, store
        self.shards: dict[int, pa.ChunkedArray] = {}

    def __getitem__(self, document: int) -> np.ndarray:
        k = int(self.members.shard[document])
        if k not in self.shards:
            self.shards[k] = self.store.read(self.tokens[k], ("input_ids",))["input_ids"]
        return self.shards[k][int(self.members.row[document])].values.to_numpy()


def passes(
    corpus: Corpus, texts: Texts, eos: int, args: argparse.Namespace
) -> Iterator[tuple[str, str, list, np.ndarray]]:
    """(order, kind, documents, tokens of the pass)"""
    for name in args.orders:
        windows_by_kind = windows_of(corpus, name, args.windows)
        for kind in args.kinds:
            for window in windows_by_kind[kind]:
                yield name, kind, window.tolist(), np.concatenate([[eos], *(texts[d] for d in window)])


def key_of(tokens: np.ndarray) -> str:
    return blake2b(tokens.astype("<i4").tobytes(), digest_size=16).hexdigest()


def run(args, corpus: Corpus, texts: Texts, eos: int) -> None:
    """Measure the passes of a share of the work that are not kept yet."""
    import torch

    from scorers import lm
    from scorers.weights import Weights

    torch.set_num_threads(1)
    model = lm.load(lm.ModelParams(weights=Weights.of(MODEL)))
    mine, of = map(int, args.share.split("/"))
    done = kept(args.work)
    todo = []
    for name, kind, documents, tokens in passes(corpus, texts, eos, args):
        key = key_of(tokens)
        if key not in done and int(key[:8], 16) % of == mine - 1:
            done[key] = []
            todo.append((name, kind, documents, tokens, key))
    total, began, read = sum(len(t[3]) for t in todo), time.monotonic(), 0
    with open(args.work / f"nll-{mine}-{of}.jsonl", "a") as out:
        for name, kind, documents, tokens, key in todo:
            nll = lm.nll(model, lm.body(model, tokens[None, :-1]), tokens[None, 1:])[0]
            ends = np.cumsum([corpus.lengths[d] for d in documents])
            sums = np.add.reduceat(nll, np.concatenate([[0], ends[:-1]]))
            out.write(json.dumps([key, sums.tolist()]) + "\n")
            out.flush()
            read += len(tokens)
            rate = read / (time.monotonic() - began)
            print(f"{name} {kind}: {read:,} of {total:,} tokens, {rate:,.0f} a second", flush=True)


def kept(work: Path) -> dict[str, list[float]]:
    values = {}
    for path in sorted(work.glob("nll-*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                key, sums = json.loads(line)
            except ValueError:
                continue  # torn by a stop
            values[key] = sums
    return values


HEAD = "| documents | tokens | nll | against shuffled | against masked | shuffled against masked |"


def report(args, corpus: Corpus, texts: Texts, eos: int) -> None:
    """Two tables: each order, and each order by domain. A figure is missing while one of its passes is."""
    values = kept(args.work)
    sums: dict[str, dict[str, dict[int, float]]] = {}
    missing: dict[tuple[str, str], int] = {}
    for name, kind, documents, tokens in passes(corpus, texts, eos, args):
        if (value := values.get(key_of(tokens))) is None:
            missing[name, kind] = missing.get((name, kind), 0) + 1
        else:
            sums.setdefault(name, {}).setdefault(kind, {}).update(zip(documents, value, strict=True))
    for (name, kind), n in missing.items():
        sums.get(name, {}).pop(kind, None)
        print(f"{name}: {n} passes of {kind} are missing")
    read = [name for name in args.orders if "ordered" in sums.get(name, {})]
    print(f"\n| order {HEAD}\n|---|---:|---:|---:|---:|---:|---:|")
    for name in read:
        print(row(name, windows_of(corpus, name, args.windows)["ordered"], sums[name], corpus, lambda _: True))
    print(f"\n| order, domain {HEAD}\n|---|---:|---:|---:|---:|---:|---:|")
    for name in read:
        windows = windows_of(corpus, name, args.windows)["ordered"]
        for domain in sorted(set(corpus.domain)):
            line = row(
                f"{name}, {domain}", windows, sums[name], corpus, lambda d, domain=domain: corpus.domain[d] == domain
            )
            if line:
                print(line)


def row(label: str, windows: list, own: dict, corpus: Corpus, is_counted) -> str:
    """A row of a table. Each figure: the sum over the counted documents of a window, divided by their tokens."""
    counted = [[d for d in w.tolist() if is_counted(d)] for w in windows]
    counted = [w for w in counted if w]
    if not counted:
        return ""
    tokens = np.array([sum(corpus.lengths[d] for d in w) for w in counted])
    picks = np.random.default_rng(0).integers(len(counted), size=(2000, len(counted)))

    def figure(kind: str, other: str | None) -> str:
        if kind not in own or (other and other not in own):
            return "-"
        sums = np.array([sum(own[kind][d] - (own[other][d] if other else 0) for d in w) for w in counted])
        mean = sums.sum() / tokens.sum()
        if other is None:
            return f"{mean:.3f}"
        low, high = np.quantile(sums[picks].sum(axis=1) / tokens[picks].sum(axis=1), [0.025, 0.975])
        return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"

    pairs = [("ordered", None), ("ordered", "shuffled"), ("ordered", "masked"), ("shuffled", "masked")]
    cells = " | ".join(figure(*pair) for pair in pairs)
    return f"| {label} | {sum(map(len, counted)):,} | {tokens.sum():,} | {cells} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--mix", required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--orders", nargs="+", default=list(ORDERS_READ), choices=list(ORDERS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--share", default="1/1", help="of the passes, for several processes")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    corpus, store, tokens = corpus_of(args.root, args.mix, args.recipe, args.orders)
    texts, eos = Texts(corpus.members, tokens, store), eos_id(load_recipe(args.recipe).encode)
    {"run": run, "report": report}[args.what](args, corpus, texts, eos)
