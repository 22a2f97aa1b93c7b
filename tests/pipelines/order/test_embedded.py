import numpy as np
import pyarrow as pa

from pipelines.order.embedded import Embedded, vectors_file
from pipelines.order.members import Members
from pipelines.store.files import Scratch
from schemas.tables import EMBEDDINGS
from tests.pipelines.corpora import SEEDS, built
from tests.pipelines.order.mixes import embedded, tables_of


def read(mix, seed):
    shards, vectors = embedded(mix, seed)
    members = Members.of(tables_of(mix, shards), ("s",), [], mix.store)
    return Embedded(shards, members, mix.store), vectors


def test_blocks_have_the_vector_of_every_member_once(tmp_path):
    for seed in SEEDS:
        mix = built(seed, tmp_path / str(seed))
        found, vectors = read(mix, seed)
        seen = []
        for members, block in found.blocks():
            seen += members.tolist()
            for i, vector in zip(members.tolist(), block, strict=True):
                assert (vector == vectors[found.members.document_id[i].as_py()]).all()
        assert sorted(seen) == list(range(len(found.members)))


def test_vectors_are_scattered_to_their_groups(tmp_path):
    mix = built(1, tmp_path)
    found, vectors = read(mix, 1)
    scratch = Scratch(tmp_path)
    n = len(found.members)
    chosen = {0: np.arange(0, n, 3), 2: np.arange(1, n, 3)}
    found.scatter(chosen, scratch)
    for group, own in chosen.items():
        written = scratch.map(vectors_file(group), np.float32).reshape(len(own), -1)
        ids = [found.members.document_id[i].as_py() for i in own.tolist()]
        assert (written == np.stack([vectors[i] for i in ids])).all()


def test_without_a_vector_all_are_zeros_of_one_dimension(tmp_path):
    mix = built(2, tmp_path)
    found, _ = read(mix, 2)
    nothing = [
        mix.store.write("EMBEDDINGS", pa.Table.from_pylist(
            [{**row, "status": "not_drawn", "vector": None} for row in mix.rows([shard])], schema=EMBEDDINGS
        )) for shard in found.shards
    ]  # fmt: skip
    empty = Embedded(nothing, found.members, mix.store)
    assert {block.shape[1] for _, block in empty.blocks()} == {1}
    assert not any(block.any() for _, block in empty.blocks())
