"""Small encoders of both kinds, saved as a recipe would name them."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("the", "of", "and", "python", "list", "class", "king", "lord", "river", "server", "return", "##s", "##ing")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;()'\"-_=/<>"
VOCABULARY = (*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS if letter.isalnum()))


def tokenizer() -> Tokenizer:
    """WordPiece over letters and a few words. Padding and truncation are on, as in published files."""
    made = Tokenizer(models.WordPiece({word: k for k, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(5)
    made.enable_padding(length=5)
    return made


def saved_bert(folder: Path, seed: int = 0, **sizes: int) -> Path:
    """A random bidirectional model of 64 positions, without the pooler that nobody reads."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = BertConfig(
        vocab_size=len(VOCABULARY), max_position_embeddings=64, initializer_range=0.3, **(small | sizes)
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def saved_table(folder: Path, seed: int = 0, **more: np.ndarray) -> Path:
    """A random static table of 16 dimensions. more: other tensors of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.random.default_rng(seed).normal(size=(len(VOCABULARY), 16)).astype(np.float32)
    save_file({"embeddings": rows, **more}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "hidden_dim": 16}))
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder
