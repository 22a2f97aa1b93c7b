"""Do trainers take a published set of samples as it is, and is the loss over response tokens alone?

    python benchmarks/influence/trainers.py ROOT/datasets/MIX/latest

Needs trl. Loads sequences-*.parquet by datasets.load_dataset, trains a Llama of random weights, 2 layers and 64 dimensions
for three steps by TRL's SFTTrainer on a CPU, and compares the loss of its first step with the mean nll of the tokens of the
responses, found in messages-*.parquet by the tokenizer, without the column labels.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from datasets import load_dataset
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer


def tiny(n_vocab: int, n_positions: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=n_vocab, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=n_positions,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def answers(folder: Path) -> list[list[int]]:
    """The tokens of every response of the set, by the published tokenizer."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = load_dataset("parquet", data_files=str(folder / "messages-*.parquet"), split="train")
    texts = [turn["content"] for row in rows for turn in row["messages"] if turn["role"] == "assistant"]
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def response_mask(ids: list[int], responses: set[tuple[int, ...]], eos: int) -> list[bool]:
    """Tokens of a row that end a response, or are in one: the longest response that ends before each EOS."""
    mask = [False] * len(ids)
    for stop in (i for i, token in enumerate(ids) if token == eos):
        lengths = [len(r) for r in responses if tuple(ids[stop - len(r) : stop]) == r]
        for k in range(stop - max(lengths), stop + 1):
            mask[k] = True
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    manifest = json.loads((folder / "manifest.json").read_text())
    eos = manifest["marks"]["eos_id"]
    data = load_dataset("parquet", data_files=str(folder / "sequences-*.parquet"), split="train")
    print(f"datasets: {len(data)} rows, columns {', '.join(data.column_names)}")
    n_vocab = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    n_positions = manifest["recipe"]["pack"]["sequence_tokens"]
    model = tiny(n_vocab, n_positions)
    row = data[0]
    ids = torch.tensor([row["input_ids"]])
    mask = response_mask(row["input_ids"], set(map(tuple, answers(folder))), eos)
    with torch.no_grad():
        nll = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
        expected = nll[torch.tensor(mask[1:])].mean().item()
    n_trained = sum(label != -100 for label in row["labels"])
    print(
        f"row 0: {len(mask):,} tokens, {sum(mask):,} of responses, {n_trained:,} labels; their mean nll is {expected:.5f}"
    )
    with TemporaryDirectory() as out:
        arguments = SFTConfig(
            output_dir=out, max_steps=3, per_device_train_batch_size=1, logging_steps=1, learning_rate=1e-3, max_length=None,
            use_cpu=True, report_to="none", save_strategy="no", bf16=False, gradient_checkpointing=False,
        )  # fmt: skip
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), eos_token="<|endoftext|>", pad_token="<|endoftext|>"
        )
        trainer = SFTTrainer(model=model, args=arguments, train_dataset=data.select([0]), processing_class=tokenizer)
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(
        f"TRL: loss by step {', '.join(f'{loss:.5f}' for loss in losses)}; difference at the first {abs(losses[0] - expected):.1e}"
    )


if __name__ == "__main__":
    main()
