"""Recipes and tokenizers that can't be right are refused in one line, before anything of the corpus is read."""

import json
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipelines.encode.tokenizer import load as load_tokenizer
from pipelines.recipe import load
from pipelines.store.files import HashedFile
from schemas.errors import RecipeError

ROOT = Path(__file__).parents[2]
TINY = (ROOT / "mixes" / "tiny.toml").read_text(encoding="utf-8").replace("../examples", str(ROOT / "examples"))
BIG = "1" + "0" * 30
TOKENIZER = json.loads((ROOT / "examples" / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))


def with_key(section, key, value):
    """The recipe with a key of a section set."""
    head, kept = f"[{section}]", []
    here = False
    for line in TINY.splitlines():
        here = line.strip() == head if line.startswith("[") else here
        if not (here and line.partition("=")[0].strip() == key):
            kept.append(line)
    text = "\n".join(kept) + "\n"
    line = f"{head}\n{key} = {value}\n"
    return text.replace(f"{head}\n", line, 1) if f"{head}\n" in text else f"{text}\n{line}"


KEYS = {
    ("plan", "budget_tokens"): (BIG, "-1", "0", "nan", "inf", "1e400", "true", '"1e30"', '"999999999999999999G"', "2.5", "[]", "{}", "1979-05-27"),
    ("pack", "sequence_tokens"): (BIG, "-1", "0", "nan", "2147483648", "true"),
    ("plan", "max_epochs"): (BIG, "-1", "0", "10000000"),
    ("plan", "short_rate"): ("nan", "inf", "-1", "1e308"),
    ("dedup", "threshold"): ("nan", "inf", "-inf", "0", "-0.0", "true"),
    ("dedup", "shingle_words"): (BIG, "0", "-3"),
    ("dedup", "seed"): ("-1", BIG, "nan", "4294967296"),
    ("plan", "seed"): (BIG, "nan"),
    ("pack", "seed"): (BIG, "true"),
    ("encode", "batch_bytes"): ("0", "-1", BIG),
    ("encode", "piece_chars"): ("0", "-1", BIG),
    ("encode", "eos_token"): ('""', '"\\u0000"', '"' + "x" * 10_000 + '"', "5", "[]", '"\\ud800"'),
    ("encode", "tokenizer"): ('"a/b/c"', '"../x"', '"/"', '"."', '"x/"', '"http://x/y"', '"a.json"'),
    ("run", "workers"): (BIG, "-1", "nan", '"x"', "99999"),
    ("run", "runner"): ('"NoSuchRunner"', '""', '"a.b.C"', "5", '"os.path"', '"apache_beam.Pipeline"'),
    ("run", "options"): ("{ nosuch = 1 }", '{ direct_num_workers = "x" }', "5", '{ runner = "x" }', "{ help = true }", '{ direct_running_mode = "nosuch" }', '{ pipeline_type_check = "yes" }'),
}  # fmt: skip
RECIPES = {f"{s}.{k} = {v[:30]}": with_key(s, k, v) for (s, k), values in KEYS.items() for v in values}
RECIPES |= {
    "empty": "",
    "no text": "\0\1",
    "deep lists": "x = " + "[" * 5_000 + "]" * 5_000,
    "deep tables": "x = " + "{a=" * 400 + "1" + "}" * 400,
    "deep dots": ".".join("a" * 900) + " = 1",
    "deep shares": TINY.replace("[pack]", f"[plan.shares.{'.'.join('a' * 900)}]\nx = 1\n[pack]"),
    "digits": with_key("plan", "budget_tokens", "9" * 5_000),
    "a large file": "#" * (17 << 20),
    "a name with a line feed": with_key("plan", "shares", '{ "a\\nb" = 1.0 }'),
}


def test_there_are_enough():
    assert len(RECIPES) >= 75
    assert len(TOKENIZERS) >= 20


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_refused(name, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(RECIPES[name], encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load(path)
    line = str(error.value)
    assert line.isprintable()
    assert len(line) < 1_000
    assert "r.toml: " in line or "tokenizer.json: " in line


def with_part(**parts):
    return json.dumps(TOKENIZER | parts)


def with_model(**parts):
    return with_part(model=TOKENIZER["model"] | parts)


def added(**parts):
    token = {"id": 0, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}  # fmt: skip
    return with_part(added_tokens=[*TOKENIZER["added_tokens"], token | parts])


def split(pattern):
    return with_part(pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})  # fmt: skip


def deleting(pattern, content=""):
    return with_part(normalizer={"type": "Replace", "pattern": {"Regex": pattern}, "content": content})


VOCABULARY = TOKENIZER["model"]["vocab"]
TOKENIZERS = {
    "empty": "", "a list": "[]", "null": "null", "deep": "[" * 100_000, "BOM": "\ufeff" + json.dumps(TOKENIZER),
    "half": json.dumps(TOKENIZER)[:100_000], "no model": json.dumps({k: v for k, v in TOKENIZER.items() if k != "model"}),
    "unknown model": with_model(type="Nope"), "vocabulary a list": with_model(vocab=[]),
    "vocabulary empty": with_model(vocab={}, merges=[]), "negative id": with_model(vocab={**VOCABULARY, "zz": -1}),
    "id of 32 bits": with_model(vocab={**VOCABULARY, "zz": 2**31 + 5}), "id of 41 bits": with_model(vocab={**VOCABULARY, "zz": 2**40}),
    "merge of unknown tokens": with_model(merges=[["qqqqqqq", "zzzzzzz"]]), "merge of three": with_model(merges=["a b c"]),
    "merge a number": with_model(merges=[5]), "added negative": added(id=-1), "added a text": with_part(added_tokens=["<x>"]),
    "added a table": with_part(added_tokens={}), "normalizer deletes all": deleting(r"[\s\S]"), "normalizer does not compile": deleting("("),
    "pattern does not compile": split("("), "unknown normalizer": with_part(normalizer={"type": "Nope"}),
    "unknown pre-tokenizer": with_part(pre_tokenizer={"type": "Nope"}), "unknown decoder": with_part(decoder={"type": "Nope"}),
    "grows": deleting("a", "a" * 10_000),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_is_refused(name, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(TOKENIZERS[name], encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load_tokenizer(HashedFile.of(path))
    assert str(error.value).startswith(f"{path}: ")
    assert "; name " in str(error.value)
    assert str(error.value).isprintable()


def many(folder, n, wrong):
    """A recipe of n sources, each with a wrong key if asked."""
    key = "nosuch = 1\n" if wrong else ""
    end = TINY.index("[[sources]]")
    source = TINY[end:].split("[[sources]]")[1].split("\n[")[0]
    path_line = next(line for line in source.splitlines() if line.startswith("path"))
    rest = "".join(f"\n[{part}" for part in TINY[TINY.rindex("[[sources]]") :].split("\n[")[1:])
    head = TINY[:end]
    sources = "".join(f'[[sources]]\nname = "s{i}"\ndomain = "d{i}"\n{path_line}\n{key}\n' for i in range(n))
    path = folder / f"{n}.toml"
    path.write_text(head + sources + rest, encoding="utf-8")
    return path


@pytest.mark.parametrize("wrong", [False, True])
def test_validation_is_linear_in_the_sources(tmp_path, wrong):
    def calls(n):
        path, events = many(tmp_path, n, wrong), Counter()
        sys.setprofile(lambda _, event, __: events.update((event,)))
        try:
            with pytest.raises(RecipeError, match=r"and [0-9]+ more faults") if wrong else nullcontext():
                load(path)
        finally:
            sys.setprofile(None)
        return events["call"] + events["c_call"]

    calls(30)  # imports and caches
    few, more = calls(100), calls(400)
    assert few > 100
    assert more < 4.2 * few
