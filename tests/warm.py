"""Importing this does what takes four of the six CPU seconds of a first build of tests.micro: imports, kernels, tokenizer.

The server of kills.py imports it once, and every build is a fork of it. A fork has no thread but the one that forked.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else tokenizers starts threads, which a fork would wait for

import pyarrow as pa

from pipelines.dedup import DedupParams, SignParams, sign_shard
from pipelines.encode import fast
from pipelines.encode.tokenizer import load
from pipelines.store.files import HashedFile
from tests.micro import ROOT

TOKENIZER = HashedFile.of(ROOT / "examples" / "tokenizer" / "tokenizer.json")

sign_shard(pa.table({"text": pa.array(["a text"], pa.large_string())}), SignParams.of(DedupParams(threshold=0.7)))
load(TOKENIZER)
fast.refusal(TOKENIZER) or fast.proven(TOKENIZER)
