"""Texts on which tokenizers tend to differ: about 50 kB, the same in every process."""

import json
import random
from itertools import product

from tokenizers import Tokenizer

SEED = 20_240_501
N_MIXED = 160  # texts of random parts
MIXED_PARTS = 40
N_PIECES = 120  # texts of pieces of the vocabulary
MAX_PIECE_CHARS = 24

SPACES = [
    " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028",
    "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\u2060", "\ufeff",
]  # fmt: skip
WORDS = [
    "the", "The", "THE", "don't", "DON'T", "we'll", "I'M", "x'dx", "'s", "'S", "\u2019ve", "na\u00efve", "e\u0301", "a\u0308o\u0308",
    "\u00df", "\u1e9e", "\u0130stanbul", "\u01c6", "\ufb01n", "\u00bd", "\u00b2", "\u2167", "\u2460", "\u0660\u0661\u0662",
    "\u0967\u0968", "0", "12", "123", "1234", "12345678901", "1,024.50", "0x1F", "1e-9", "v1.2.3", "_", "__init__", "snake_case",
    "camelCase", "HTTPServer", "a/b/c", "--", "---", "...", "!?", "=>", "!=", "();", "{}", "[[", "#!", "<|", "|>", "<s>", "</s>",
    "<pad>", "<unk>", "<0x0A>", "[CLS]", "##ing", "\u2581", "\u2581the", "\u0120", "\u0120the", "\u010a", "@@", "</w>",
    "\u65e5\u672c\u8a9e", "\u4e2d\u6587", "\u3072\u3089\u304c\u306a", "\u30ab\u30fc", "\uff76\uff9e", "\ud55c\uad6d\uc5b4",
    "\u1112\u1161\u11ab", "\u0e20\u0e32\u0e29\u0e32", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u05e2\u05d1\u05e8\u05d9\u05ea", "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac\u03c2", "\u041f\u0440\u0438\u0432\u0435\u0442", "\u202eabc\u202c",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001d54f",
    "\U00020000", "\ue000", "\ufffd", "\ufffe", "\U0010ffff", "\u0000", "\u0001", "\u007f", "\u0080", "\u00ad", "\u0300", "\u20dd",
]  # fmt: skip
RUNS = [
    "a",
    "A",
    "ab",
    " ",
    "\n",
    "\t",
    "-",
    "=",
    "0",
    "7",
    "'",
    "\u4e2d",
    "e\u0301",
    "\U0001f600",
    " x",
    "\r\n",
    "#",
    "\u3000",
]
LENGTHS = [2, 3, 4, 7, 8, 15, 16, 17, 31, 64]


def hostile(tokenizer: Tokenizer) -> list[str]:
    """The texts for one tokenizer: also those that are spelled like its added tokens and like pieces of its vocabulary."""
    rng = random.Random(SEED)  # noqa: S311 no secret
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()][:64]
    vocabulary = sorted(piece for piece in tokenizer.get_vocab() if len(piece) <= MAX_PIECE_CHARS)
    texts = ["", *SPACES, *WORDS, *added]
    texts += [part * n for part, n in product(RUNS, LENGTHS)]
    texts += [before + word + after for word in WORDS for before, after in ((" ", ""), ("a", "b"), ("\n", " "))]
    texts += [before + token + after for token in added for before, after in (("a", "b"), (" ", " "), ("\n", "\n"))]
    parts = [*WORDS, *SPACES, *added]
    texts += ["".join(rng.choices(parts, k=MIXED_PARTS)) for _ in range(N_MIXED)]
    texts += [" ".join(rng.choices(vocabulary, k=6)) + "".join(rng.choices(vocabulary, k=6)) for _ in range(N_PIECES)]
    texts += [json.dumps(rng.choices(WORDS, k=8), ensure_ascii=bool(k % 2), indent=k % 4 or None) for k in range(24)]
    return texts
