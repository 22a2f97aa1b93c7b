"""Fit the static table in examples/encoder to all-MiniLM-L6-v2.

    longmix corpus && longmix model --encoder
    python examples/make_encoder.py data/models/all-MiniLM-L6-v2 data/corpus examples/encoder --work data/table

The output is committed, so this script need not be run again; it takes about six CPU minutes, of which a stopped run keeps
the vectors. Another processor or release of torch gives a slightly different table.

1. Each token alone goes through the model: [CLS] token [SEP], mean of the hidden states (as model2vec distils a table).
2. Rows are weighted by the inverse document frequency of their token.
3. A linear map and then a ridge regression in the space of tokens bring the table's vectors of DOCUMENTS documents as near
   as possible to the model's own. Only documents whose content hash begins with 0 to 3 are used, the same number of each
   domain as far as it has them: benchmarks/order/encoders.py measures on the others.
4. PCA to DIMENSIONS, int8.
"""

import argparse
import json
import shutil
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import zstandard
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from scorers.embedding import EncoderParams, load
from scorers.static_table import own_tokenizer
from scorers.weights import Weights

DOCUMENTS = 4_000
DIMENSIONS = 128
WINDOW_TOKENS = 128
MIN_CHARS = 200
FIT_DIGITS = "0123"  # of the first digit of content_hash
BLOCK = 64
MAP_RIDGE, ROW_RIDGE = 1e-2, 0.3
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def fit_texts(corpus: Path, n: int) -> list[str]:
    """[n] heads of documents, domain by domain in turn, lowest content hash first."""
    domains = []
    for path in sorted(corpus.glob("*.jsonl.zst")):
        rows = {}
        with zstandard.open(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                text = json.loads(line)["text"]
                content_hash = blake2b(text.encode(), digest_size=16).hexdigest()
                if content_hash[0] in FIT_DIGITS and len(text) >= MIN_CHARS:
                    rows[content_hash] = text[: 8 * WINDOW_TOKENS]
        domains.append([rows[key] for key in sorted(rows)])
    return [text for each in zip_longest(*domains) for text in each if text is not None][:n]


def model_vectors(model: Path, texts: list[str], work: Path) -> np.ndarray:
    """[n, 384] the model's own vectors, kept block by block in `work`."""
    encoder = load(EncoderParams(weights=Weights.of(model), window_tokens=WINDOW_TOKENS))
    work.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(texts), BLOCK):
        path = work / f"{start:06}.npy"
        if not path.exists():
            vectors = encoder.vectors(pa.array(texts[start : start + BLOCK], pa.large_string()))
            np.save(path.with_suffix(".part.npy"), vectors)
            path.with_suffix(".part.npy").rename(path)
        parts.append(np.load(path))
    return np.concatenate(parts).astype(np.float64)


def token_vectors(model: Path, tokenizer: Tokenizer, work: Path) -> np.ndarray:
    """[n_vocab, 384] each token alone through the model."""
    path = work / "tokens.npy"
    if not path.exists():
        encoder = load(EncoderParams(weights=Weights.of(model)))
        first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        ids = np.array([[first, token, last] for token in range(tokenizer.get_vocab_size())])
        blocks = (ids[k : k + 256] for k in range(0, len(ids), 256))
        np.save(path, np.concatenate([encoder.hidden(b, np.ones_like(b)).mean(axis=1) for b in blocks]))
    return np.load(path)


def counts(tokenizer: Tokenizer, texts: list[str]) -> sp.csr_matrix:
    """[n, n_vocab] the share of each token in each text's window."""
    ids = [e.ids[: WINDOW_TOKENS - 2] for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    unknown = tokenizer.token_to_id("[UNK]")
    ids = [[token for token in each if token != unknown] for each in ids]
    rows = np.repeat(np.arange(len(ids)), list(map(len, ids)))
    columns = np.array([token for each in ids for token in each])
    values = np.repeat([1 / max(1, len(each)) for each in ids], list(map(len, ids)))
    return sp.csr_matrix((values, (rows, columns)), shape=(len(ids), tokenizer.get_vocab_size()))


def fitted(tokens: np.ndarray, share: sp.csr_matrix, targets: np.ndarray) -> np.ndarray:
    """[n_vocab, 384] weighted rows whose means are near the targets [n, 384] in direction."""
    n = share.shape[0]
    idf = np.log((n + 1) / (np.asarray((share > 0).sum(axis=0)).ravel() + 1))
    start = (tokens - tokens.mean(axis=0)) * idf[:, None]
    before = unit(share @ start)
    ridge = MAP_RIDGE * n * before.var() * np.eye(tokens.shape[1])
    mapped = start @ np.linalg.solve(before.T @ before + ridge, before.T @ targets)
    weighted = share @ sp.diags(idf)
    features = sp.diags(1 / np.maximum(1e-9, sp.linalg.norm(weighted, axis=1))) @ weighted
    rows = mapped / np.maximum(1e-9, idf)[:, None]
    means = features @ rows
    rows *= (means * targets).sum() / (means * means).sum()
    kernel = (features @ features.T).toarray() + ROW_RIDGE * np.eye(n)
    rows += features.T @ np.linalg.solve(kernel, targets - features @ rows)
    return rows * idf[:, None]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(1e-12, np.linalg.norm(vectors, axis=1, keepdims=True))


def reduced(rows: np.ndarray, share: sp.csr_matrix, dimensions: int) -> np.ndarray:
    """[n_vocab, dimensions] the rows in the main directions of the documents' vectors, which cosines keep best."""
    means = unit(share @ rows)
    _, vectors = np.linalg.eigh(means.T @ means)
    return rows @ vectors[:, ::-1][:, :dimensions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--work", type=Path, default=Path("data/table"))
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    arguments = parser.parse_args()
    tokenizer = own_tokenizer(arguments.model, 1 << 20)
    texts = fit_texts(arguments.corpus, arguments.documents)
    targets = model_vectors(arguments.model, texts, arguments.work)
    share = counts(tokenizer, texts)
    rows = reduced(
        fitted(token_vectors(arguments.model, tokenizer, arguments.work), share, targets), share, arguments.dimensions
    )
    rows[[tokenizer.token_to_id(token) for token in SPECIAL]] = 0
    lengths = np.maximum(1e-12, np.abs(rows).max(axis=1))
    weights = (lengths / 127).astype(np.float32)  # a scale for each row, so that a rare word's keeps eight bits
    arguments.out.mkdir(parents=True, exist_ok=True)
    embeddings = np.rint(rows / weights[:, None].astype(np.float64)).astype(np.int8)
    save_file({"embeddings": embeddings, "weights": weights}, arguments.out / "model.safetensors")
    config = {
        "model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": arguments.dimensions,
        "embedding_dtype": "int8", "normalize": True, "tokenizer_name": "sentence-transformers/all-MiniLM-L6-v2",
    }  # fmt: skip
    (arguments.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(arguments.model / "tokenizer.json", arguments.out / "tokenizer.json")
    print(f"{arguments.out}: fitted to {len(texts):,} documents, {arguments.dimensions} dimensions")


if __name__ == "__main__":
    main()
