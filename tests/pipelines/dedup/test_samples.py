"""Samples: exact duplicates alone by default; near-duplicates by instruction and response, whatever context they share."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines import dedup
from pipelines.conversations import Conversation, Message
from pipelines.dedup import DedupParams, SampleDedupParams, SampleSignParams, SignParams, sign_shard
from pipelines.store import Store
from schemas.tables import DOCUMENTS
from tests.pipelines.inputs import engine_of, rows, text_hash

CONTEXTS = [" ".join(f"word{k * i}" for i in range(900)) + "\n\n" for k in (1, 7)]
INSTRUCTION = " ".join(f"ask{i}" for i in range(40))
ANSWER = " ".join(f"answer{i}" for i in range(40))
OTHER = " ".join(f"other{i}" for i in range(80))


def text(context: int, answer: str, instruction: str = INSTRUCTION) -> str:
    messages = [Message("user", CONTEXTS[context] + instruction), Message("assistant", answer)]
    return Conversation(messages, len(CONTEXTS[context])).json()


TEXTS = [
    text(0, ANSWER), text(0, ANSWER), text(0, OTHER, OTHER), text(1, ANSWER), text(1, ANSWER + " more"), text(1, OTHER, OTHER + " x"),
]  # fmt: skip


def deduplicated(tmp_path, params):
    store = Store(tmp_path / "root")
    engine = engine_of(store)
    documents = [{
        "document_id": text_hash(f"{i}"), "content_hash": text_hash(text), "source": "s", "record_id": None, "origin": None, "domain": "d",
        "license": None, "file": "f", "record": i, "n_bytes": len(text), "text": text,
    } for i, text in enumerate(TEXTS)]  # fmt: skip
    shard = store.write("DOCUMENTS", pa.Table.from_pylist(documents, schema=DOCUMENTS))
    signatures, duplicates, near = dedup.run([shard], params, ["s"], {}, engine)
    return rows(store, signatures), [row["verdict"] for row in rows(store, duplicates)], rows(store, near)


def test_by_default_exact_duplicates_alone_are_dropped(tmp_path):
    signatures, verdicts, near = deduplicated(tmp_path, SampleDedupParams())
    assert sorted(verdicts[:2]) == ["exact", "kept"]
    assert verdicts[2:] == ["kept"] * 4
    assert near == []
    assert all(row["n_shingles"] > 0 for row in signatures)  # choose needs them


def test_near_duplicates_are_compared_without_their_context(tmp_path):
    _, verdicts, near = deduplicated(tmp_path, SampleDedupParams(by="near"))
    assert [verdicts[0], verdicts[1], verdicts[3], verdicts[4]].count(
        "kept"
    ) == 1  # two contexts, one question and answer
    assert [verdicts[2], verdicts[5]].count("kept") == 1
    assert len(near) == 3
    bare = [" ".join(parts) for parts in ((INSTRUCTION, ANSWER), (INSTRUCTION, ANSWER + " more"))]
    sets = [{tuple(t.split()[i : i + 5]) for i in range(len(t.split()) - 4)} for t in bare]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert any(row["similarity"] == pytest.approx(jaccard) for row in near)


def test_as_documents_the_same_texts_are_near_by_their_contexts(tmp_path):
    """Guards the test above: the contexts are long enough to decide."""
    _, verdicts, _ = deduplicated(tmp_path, DedupParams())
    assert [verdicts[2], verdicts[0], verdicts[1]].count("kept") == 1


def test_a_signature_is_of_instruction_and_responses():
    params = SignParams.of(SampleDedupParams())
    assert isinstance(params, SampleSignParams)
    one, two = (sign_shard(pa.table({"text": pa.array([text(k, ANSWER)], pa.large_string())}), params) for k in (0, 1))
    assert one == two
    bare = sign_shard(
        pa.table({"text": pa.array([f"{INSTRUCTION}\n{ANSWER}"], pa.large_string())}), SignParams.of(DedupParams())
    )
    assert np.array_equal(one["signature"].combine_chunks().flatten(), bare["signature"].combine_chunks().flatten())


def test_documents_keep_the_names_of_their_actions():
    assert SignParams.of(DedupParams()).model_dump(exclude={"unicode"}) == {
        "shingle_words": 5, "shingle_chars": None, "n_permutations": 128, "seed": 1,
    }  # fmt: skip
    assert "near" not in DedupParams().model_dump()
    assert SignParams.of(SampleDedupParams()).model_dump() != SignParams.of(DedupParams()).model_dump()
