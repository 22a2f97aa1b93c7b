"""Small tokenizers of the families in use, trained on the text of examples/, with the parts of the originals' files."""

import gzip
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipelines.encode.params import EncodeParams
from pipelines.store.files import HashedFile

EXAMPLES = Path(__file__).parents[3] / "examples"
EOS, BOS = "</s>", "<s>"
LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_2 = LLAMA_3.replace("{1,3}", "")
AS_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def texts() -> list[str]:
    """About 1.5 MB of real text."""
    books = [path.read_text() for path in sorted((EXAMPLES / "corpus" / "book").iterdir())]
    with gzip.open(EXAMPLES / "corpus" / "wikipedia.jsonl.gz", "rt", encoding="utf-8") as lines:
        articles = [json.loads(line)["text"] for line in lines]
    pages = [json.loads(line)["text"] for line in (EXAMPLES / "corpus" / "c4.jsonl").read_text().splitlines()]
    return [text[:300_000] for text in [*books, *articles, *pages]]


def byte_level_bpe(texts: list[str], size: int, parts: list[Any], normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=size, special_tokens=[BOS, EOS], initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def gpt_2(texts: list[str], size: int) -> Tokenizer:
    return byte_level_bpe(texts, size, [pre_tokenizers.ByteLevel(add_prefix_space=False)])


def llama_3(texts: list[str], size: int) -> Tokenizer:
    return byte_level_bpe(texts, size, [pre_tokenizers.Split(Regex(LLAMA_3), "isolated"), AS_BYTES])


def qwen_2(texts: list[str], size: int) -> Tokenizer:
    parts = [pre_tokenizers.Split(Regex(QWEN_2), "isolated"), AS_BYTES]
    return byte_level_bpe(texts, size, parts, normalizers.NFC())


def starcoder(texts: list[str], size: int) -> Tokenizer:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return byte_level_bpe(texts, size, [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def sentencepiece_bpe(texts: list[str], size: int) -> Tokenizer:
    """BPE with tokens for bytes, as converted from SentencePiece, without normalizer and pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Replace(" ", "▁"), pre_tokenizers.Metaspace()
    special = ["<unk>", BOS, EOS, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=500, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    trained = json.loads(tokenizer.to_str()) | {"normalizer": None, "pre_tokenizer": None}
    trained["added_tokens"] = [token for token in trained["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(trained))


def llama_2(texts: list[str], size: int) -> Tokenizer:
    tokenizer = sentencepiece_bpe(texts, size)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    return tokenizer


def gemma(texts: list[str], size: int) -> Tokenizer:
    tokenizer = sentencepiece_bpe(texts, size)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def unigram(texts: list[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<unk>", BOS, EOS], unk_token="<unk>", initial_alphabet=list(" <>/s\n"),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([text[:4_000] for text in texts], trainer)  # training is slow
    return tokenizer


def wordpiece(texts: list[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=["[UNK]", BOS, EOS], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


FAMILIES = {
    "gpt2": gpt_2,
    "llama3": llama_3,
    "qwen2": qwen_2,
    "starcoder": starcoder,
    "llama2": llama_2,
    "gemma": gemma,
    "unigram": unigram,
    "wordpiece": wordpiece,
}


@cache
def trained(family: str) -> str:
    """The tokenizer.json of a family."""
    return FAMILIES[family](texts(), 1_000 if family == "unigram" else 2_000).to_str()


def saved(folder: Path, tokenizer: Tokenizer | str, *, special: Iterable[str] = (), plain: Iterable[str] = ()) -> Path:
    """The tokenizer as a file, with further added tokens."""
    tokenizer = Tokenizer.from_str(tokenizer) if isinstance(tokenizer, str) else tokenizer
    tokenizer.add_special_tokens([*special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def params_of(path: Path, **changes) -> EncodeParams:
    return EncodeParams(tokenizer=HashedFile.of(path), **{"eos_token": EOS, **changes})
