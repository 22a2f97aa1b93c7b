"""Small random corpora as tables, for the tests of plan and pack."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import pack, plan
from pipelines.encode import EncodeParams
from pipelines.pack import PackParams
from pipelines.plan import PlanParams
from pipelines.stage import Engine, Runner
from pipelines.store import Shard, Store
from pipelines.store.files import HashedFile
from schemas.tables import DOCUMENTS, TOKENS
from tests import tokens

ENCODE = EncodeParams(tokenizer=HashedFile(path="none", hash="0"), eos_token="</s>")
SEEDS = range(6)


def engine_in(root: Path, workers: int = 1) -> Engine:
    return Engine(Store(root), Runner(workers=workers))


def digest(name: str) -> str:
    return blake2b(name.encode(), digest_size=16).hexdigest()


@dataclass
class Corpus:
    """Shards of DOCUMENTS and TOKENS; document_id -> (domain, input_ids) of each kept document."""

    documents: list[Shard]
    tokens: list[Shard]
    kept: dict[str, tuple[str, list[int]]]

    def n_tokens(self, domain: str, is_long: bool | None = None, long_tokens: int = 50) -> int:
        lengths = [len(ids) for name, ids in self.kept.values() if name == domain]
        return sum(n for n in lengths if is_long is None or (n >= long_tokens) == is_long)

    @property
    def total(self) -> int:
        return sum(len(ids) for _, ids in self.kept.values())


def corpus(seed: int, store: Store, n_shards: int = 3) -> Corpus:
    """Documents of random lengths in three domains, some dropped."""
    rng = np.random.default_rng(seed)
    made = Corpus([], [], {})
    for shard in range(n_shards):
        texts, ids = [], []
        for i in range(int(rng.integers(0, 30)) if shard else 30):
            name, domain = f"{seed}-{shard}-{i}", str(rng.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1]))
            n = int(rng.choice([1, 3, 17, 60, 300]))
            input_ids = [*(int(x) for x in rng.integers(1, 1000, n)), 0] if rng.random() < 0.9 else None
            texts.append({
                "document_id": digest("id" + name), "content_hash": digest(name), "source": "s", "record_id": None, "origin": None, "domain": domain,
                "license": None, "file": "f", "record": i, "n_bytes": 1, "text": name,
            })  # fmt: skip
            ids.append(tokens.token_row(digest("id" + name), input_ids))
            if input_ids:
                made.kept[digest("id" + name)] = (domain, input_ids)
        made.documents.append(store.write("DOCUMENTS", pa.Table.from_pylist(texts, schema=DOCUMENTS)))
        made.tokens.append(store.write("TOKENS", pa.Table.from_pylist(ids, schema=TOKENS)))
    return made


def rows_of(store: Store, shards: list[Shard]) -> list[dict]:
    return [row for shard in shards for row in store.read(shard).to_pylist()]


@dataclass
class Built:
    """A mix of a corpus: half of its tokens, unless changed."""

    store: Store
    corpus: Corpus
    params: PlanParams
    draws: list[Shard]
    targets: list[Shard]
    sequences: list[Shard]

    def rows(self, shards: list[Shard]) -> list[dict]:
        return rows_of(self.store, shards)


def built(seed: int, root: Path, packer: str = "best_fit", workers: int = 1, **changes: object) -> Built:
    engine = engine_in(root, workers)
    made = corpus(seed, engine.store)
    params = PlanParams(**{"budget_tokens": made.total // 2, "long_tokens": 50, "max_epochs": 3, **changes})
    draws, targets = plan.run(made.documents, made.tokens, [], params, engine)
    packing = PackParams(packer=packer, sequence_tokens=128)
    return Built(engine.store, made, params, draws, targets, pack.run(made.tokens, draws, [], ENCODE, packing, engine))
