"""A stream through a buffer: after each document, the one in the buffer that BM25 finds most relevant to it.

The stream is in keyed order. A chain begins with the oldest document in the buffer and ends after CHAIN documents, as a
window does in the paper, or where no document shares a term with the last one. Every document taken makes room for the
next of the stream. Terms are hashes of words; no model and no vectors are needed.

Source: BM25Chunk of Zhao et al. 2024 (arXiv 2402.13991), with a chain of fixed length in place of a full window. Here,
document frequencies and the mean length are those of all documents, not of the buffer.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.keys import ascending, keyed, salt
from pipelines.order.graph import Graph
from pipelines.order.orders.documents import OrderDocuments
from schemas.kernels import kernel

BUFFER = 2_048  # documents
CHAIN = 32  # documents
TERM_BITS = 20  # of a term's hash; a collision makes two words one term
K1, B = 1.5, 0.75  # of BM25
TEXTS = 1_024  # documents whose texts are joined for one call of the compiled code


def bm25_buffer(graph: Graph, documents: OrderDocuments) -> tuple[np.ndarray, np.ndarray]:
    """The path restarts where a chain begins.

    Raises:
        ValueError: the documents have no texts.
    """
    del graph
    if documents.texts is None:
        raise ValueError("bm25_buffer: documents without texts; give the head of each or use another order")
    stream = ascending(keyed(documents.content, salt("stream", documents.seed)), documents.content)
    offsets, terms, counts = bags(documents.texts)
    return chain(stream, *bm25(offsets, terms, counts), BUFFER, CHAIN)


def bags(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """offsets [n + 1] int64, and the distinct terms [e] int32, ascending, and counts [e] int32 of each text."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    terms, counts = [], []
    for start in range(0, len(texts), TEXTS):
        raw = [text.lower().encode(errors="replace") for text in texts[start : start + TEXTS]]
        stops = np.cumsum([len(text) for text in raw])
        sizes, batch_terms, batch_counts = count_terms(np.frombuffer(b"".join(raw), np.uint8), stops)
        offsets[start + 1 : start + len(raw) + 1] = offsets[start] + np.cumsum(sizes)
        terms.append(batch_terms)
        counts.append(batch_counts)
    empty = np.empty(0, np.int32)
    return offsets, np.concatenate([empty, *terms]), np.concatenate([empty, *counts])


def bm25(
    offsets: np.ndarray, terms: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The terms that more than one document has, numbered by the number of documents, the most frequent first.

    So the terms of most comparisons are in the processor's nearest cache.

    Returns:
        offsets [n + 1] int64, terms [e] int32, weights [e] float32 of a term in its document without the idf, and
        idf [n_terms] float32.
    """
    n = len(offsets) - 1
    frequency = np.bincount(terms, minlength=1 << TERM_BITS)
    by_frequency = np.argsort(-frequency, kind="stable")[: np.count_nonzero(frequency > 1)]
    number = np.full(len(frequency), -1, np.int32)
    number[by_frequency] = np.arange(len(by_frequency))
    ending = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    length = np.diff(ending[offsets]).astype(np.float64)
    normal = K1 * (1 - B + B * length / max(float(length.mean()), 1.0)) if n else length
    weights = (counts * (K1 + 1) / (counts + np.repeat(normal, np.diff(offsets)))).astype(np.float32)
    shared = number[terms] >= 0
    kept = np.concatenate([[0], np.cumsum(shared)])[offsets]
    frequency = frequency[by_frequency]
    idf = np.log1p((n - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
    return kept, number[terms[shared]], weights[shared], idf


@kernel
def count_terms(text: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """sizes [n], terms [e], counts [e] of n texts. A term is a run of ASCII letters, digits and characters beyond ASCII.

    A character from U+3000 on (three or four bytes) is a term of its own: those scripts have no spaces.
    """
    sizes = np.zeros(len(stops), np.int64)
    terms, counts = np.empty(len(text) + 1, np.int32), np.empty(len(text) + 1, np.int32)
    end, start = 0, 0
    for t in range(len(stops)):
        words = np.empty(stops[t] - start, np.int32)
        n_words = 0
        at = start
        while at < stops[t]:
            if not in_word(text[at]):
                at += 1
                continue
            single = text[at] >= 0xE3
            code = np.uint64(0xCBF29CE484222325)  # FNV-1a, then mixed
            first = at
            while at < stops[t] and in_word(text[at]):
                leads = text[at] >= 0xC0
                if at > first and ((single and (leads or text[at] < 0x80)) or text[at] >= 0xE3):
                    break
                code = (code ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
                at += 1
            code ^= code >> np.uint64(32)
            words[n_words] = np.int32((code * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - TERM_BITS))
            n_words += 1
        start = stops[t]
        ordered = np.sort(words[:n_words])
        first_of_text = end
        for w in range(n_words):
            if w and ordered[w] == ordered[w - 1]:
                counts[end - 1] += 1
            else:
                terms[end], counts[end] = ordered[w], 1
                end += 1
        sizes[t] = end - first_of_text
    return sizes, terms[:end].copy(), counts[:end].copy()


@kernel
def in_word(byte: int) -> bool:
    return byte >= 0x80 or 0x30 <= byte <= 0x39 or 0x61 <= byte <= 0x7A


@kernel
def chain(  # noqa: PLR0913, PLR0917
    stream: np.ndarray,
    offsets: np.ndarray,
    terms: np.ndarray,
    weights: np.ndarray,
    idf: np.ndarray,
    n_buffer: int,
    n_chain: int,
) -> tuple[np.ndarray, np.ndarray]:
    """order [n] int64, and restarts [n] where a chain begins.

    stream: [n] documents. A query counts each of its terms once. Ties go to the document that is longest in the buffer.
    """
    n = len(stream)
    order, restarts = np.empty(n, np.int64), np.zeros(n, np.bool_)
    arrived = np.arange(min(n_buffer, n))  # slot of the buffer -> index in the stream
    following, length = len(arrived), 0
    query = np.zeros(len(idf), np.float32)
    last = -1
    for place in range(n):
        best, best_score = -1, np.float32(0)
        if last >= 0 and length < n_chain:
            for e in range(offsets[last], offsets[last + 1]):
                query[terms[e]] = idf[terms[e]]
            for slot in range(len(arrived)):
                document = stream[arrived[slot]]
                score = np.float32(0)
                for e in range(offsets[document], offsets[document + 1]):
                    score += query[terms[e]] * weights[e]
                if score > best_score or (score == best_score and best >= 0 and arrived[slot] < arrived[best]):
                    best, best_score = slot, score
            for e in range(offsets[last], offsets[last + 1]):
                query[terms[e]] = 0
        if best < 0:
            best = int(np.argmin(arrived))
            restarts[place] = True
            length = 0
        length += 1
        last = stream[arrived[best]]
        order[place] = last
        if following < n:
            arrived[best] = following
            following += 1
        else:
            arrived[best] = arrived[-1]
            arrived = arrived[:-1]
    return order, restarts
