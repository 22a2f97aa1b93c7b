"""DOCUMENTS -> MESSAGES: the chosen samples of a group as messages, for trainers that apply a template themselves.

Rows are in the order of DOCUMENTS. Memory: the chosen texts of one shard of DOCUMENTS.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.reuse import read_rows
from pipelines.stage import Engine, Read, over_each
from pipelines.store import Shard, Store, name_of
from schemas.tables import TABLES

VERSION = 1  # raise when the same params would give other rows

OF_CHOSEN = ("document_id", "why", "rank", "score")


@dataclass(frozen=True)
class Group:
    """A group of draws as its worker needs it.

    Attributes:
        name: of the action that makes its shard of MESSAGES.
        documents: the shards of DOCUMENTS that have samples of the group, and their rows [k], ascending.
    """

    name: str
    chosen: Shard
    documents: tuple[tuple[Shard, np.ndarray], ...]


def run(documents: Sequence[Shard], made: Mapping[str, Sequence[Shard]], engine: Engine) -> list[Shard]:
    """MESSAGES, a shard for each shard of DRAWS.

    A text is determined by its content_hash, which is in DRAWS: other texts of its shard don't change the action's name.

    made: RANKS, CHOSEN and DRAWS.
    """
    (chosen,) = made["CHOSEN"]
    keys = [Read(shard, ("document_id", "license")).key() for shard in documents]
    rows = [chosen_rows(shard, engine.store) for shard in made["RANKS"]]
    groups = []
    for draws in made["DRAWS"]:
        reads = Read(draws, ("document_id", "content_hash", "domain", "why")), Read(chosen, OF_CHOSEN)
        name = name_of("messages", VERSION, [read.key() for read in reads], keys)
        ids = engine.store.read(draws, ("document_id",))["document_id"]
        mine = [each.filter(pc.is_in(each["document_id"], value_set=ids))["row"].to_numpy() for each in rows]
        groups.append(Group(name, chosen, tuple((d, r) for d, r in zip(documents, mine, strict=True) if len(r))))
    shards = engine.each("messages", groups, over_each(write_messages, engine.store))
    return [shard for group_shards in shards for shard in group_shards]


def chosen_rows(ranks: Shard, store: Store) -> pa.Table:
    """document_id and row of the chosen samples of a shard."""
    table = store.read(ranks, ("document_id", "why"))
    table = table.append_column("row", pa.array(np.arange(len(table))))
    return table.filter(table["why"].is_valid())


def write_messages(group: Group, store: Store) -> None:
    """Make and commit the shard of a group."""
    chosen = store.read(group.chosen, OF_CHOSEN)
    shard = store.write("MESSAGES", messages_of(group, chosen, store))
    store.commit("messages", group.name, [shard], shard.n_rows)


def messages_of(group: Group, chosen: pa.Table, store: Store) -> Iterator[pa.Table]:
    """MESSAGES of a group, from a shard of DOCUMENTS at a time."""
    for shard, rows in group.documents:
        documents = read_rows(shard, ("document_id", "domain", "license", "text"), rows, store)
        of_chosen = chosen.take(pc.index_in(documents["document_id"], value_set=chosen["document_id"]))
        messages, tools = zip(*(parsed(text) for text in documents["text"].to_pylist()), strict=True)
        yield pa.table(
            {
                **{name: documents[name] for name in ("document_id", "domain", "license")},
                **{name: of_chosen[name] for name in ("why", "rank", "score")},
                "messages": pa.array(messages, TABLES["MESSAGES"].field("messages").type),
                "tools": pa.array(tools, pa.string()),
            }
        )


def parsed(text: str) -> tuple[Sequence[dict[str, str]], str | None]:
    """The messages of a sample, role and content alone, and the rest in JSON: see MESSAGES.tools."""
    sample = json.loads(text)
    messages = [{"role": message["role"], "content": message.get("content") or ""} for message in sample["messages"]]
    others = {
        str(k): rest
        for k, message in enumerate(sample["messages"])
        if (rest := {key: value for key, value in message.items() if key not in ("role", "content")})
    }
    kept = {**({"tools": sample["tools"]} if "tools" in sample else {}), **({"messages": others} if others else {})}
    return messages, json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else None
