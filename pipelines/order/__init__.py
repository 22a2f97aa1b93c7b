"""DRAWS, EMBEDDINGS -> CENTROIDS, DRAWS by group, ORDER: a path through related documents in each group of draws.

    centroids    partitions of the vectors, dealt to groups; kept by a refresh
    deal         the draws by group: all copies of a document are in one
    path         neighbours inside a group, near copies, a path through the rest

An order that needs no vectors keeps the groups of the plan. A document that comes or goes changes its own group. Memory of a
worker: the vectors of one group, about 150 MB for 2^27 tokens of web pages, and a strip of products.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.order.chunks import ChunkParams as ChunkParams  # for packing by negative_extension
from pipelines.order.chunks import run_chunks as run_chunks
from pipelines.order.dealing import centroids_of, draws_by_first_copy, draws_by_group, keys_of
from pipelines.order.embedded import Embedded
from pipelines.order.group import Group, Inputs, members_of, order_group, save
from pipelines.order.members import COLUMNS, Members
from pipelines.order.params import OrderParams
from pipelines.order.products import library, one_thread
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, name_of
from schemas.tables import DRAWS

if TYPE_CHECKING:
    import apache_beam as beam

VERSION = 2  # raise when the same params would give other rows

Tables = Mapping[str, list[Shard]]

INPUTS = {  # columns of all that an order is made from
    "DOCUMENTS": COLUMNS,
    "TOKENS": ("n_tokens",),
    "DRAWS": tuple(DRAWS.names),
    "EMBEDDINGS": ("document_id", "vector"),
}


def run(
    tables: Tables, params: OrderParams, sources: Sequence[str], base: Tables, engine: Engine
) -> dict[str, list[Shard]]:
    """CENTROIDS, DRAWS and ORDER; the last two have a shard for each group, in the same order.

    Args:
        tables: DOCUMENTS, TOKENS, DRAWS and, where the order needs vectors, EMBEDDINGS.
        sources: their names, in the order of the recipe.
        base: the tables of the base version, whose partitions are kept.

    Raises:
        StageError: a partition needs faiss, which is not installed.
    """
    names = tuple(sources)
    reads = [Read(shard, columns) for table, columns in INPUTS.items() for shard in tables.get(table, [])]
    kept = [shard.content_hash for table in ("DRAWS", "CENTROIDS") for shard in base.get(table, [])]
    prefix = [VERSION, params.settings, params.encoder, params.partition_documents, library()]
    name = name_of("order", *prefix, names, [read.key() for read in reads], kept)
    n_documents = sum(shard.n_rows for shard in tables["DRAWS"])
    shards = engine.once("order", name, lambda: made(tables, params, names, base, engine), n_documents)
    return {table: [shard for shard in shards if shard.table == table] for table in ("CENTROIDS", "DRAWS", "ORDER")}


def made(tables: Tables, params: OrderParams, sources: tuple[str, ...], base: Tables, engine: Engine) -> list[Shard]:
    """The shards of all tables; those of groups whose members did not change are found. Arguments: see run."""
    members = Members.of(tables, sources, base.get("DRAWS", []), engine.store)
    draws, middle, vectors = tables["DRAWS"], [], None
    if params.needs_vectors:
        vectors = Embedded(tables["EMBEDDINGS"], members, engine.store)
        with one_thread():
            middle = centroids_of(vectors, draws, params, base.get("CENTROIDS", []), engine)
            draws = draws_by_group(vectors, draws, middle[0], engine)
    else:
        draws = draws_by_first_copy(members, draws, engine)
    prefix = [VERSION, params.settings, *([middle[0].columns, params.encoder, library()] if vectors else [])]
    chosen = [members_of(shard, members, engine.store) for shard in draws]
    groups = [
        Group(number, name_of("path", *prefix, key, members.take(own).digest()))
        for number, (key, own) in enumerate(zip(keys_of(draws), chosen, strict=True))
    ]
    with engine.scratch("order") as scratch:

        def spread(p: "beam.Pipeline", todo: list[Group]) -> object:
            for group in todo:
                save(group, members.take(chosen[group.number]), scratch)
            if vectors:
                vectors.scatter({group.number: chosen[group.number] for group in todo}, scratch)
            inputs = Inputs(tables["DOCUMENTS"], middle, params.settings)
            return over_each(order_group, inputs, engine.store, scratch)(p, todo)

        paths = engine.each("path", groups, spread)
    return [*middle, *draws, *(shard for of_group in paths for shard in of_group)]
