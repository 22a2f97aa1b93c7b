"""Attacks by a recipe, a tokenizer or a model that cannot be right, and by a text that a tokenizer cannot take."""

import json
import shutil

from benchmarks.attack.ground import Attack, Ended, Ground, Outcome, outcome
from tests import micro

TOKENIZER = micro.ROOT / "examples" / "tokenizer" / "tokenizer.json"
MODEL = micro.ROOT / "tests" / "reference" / "prolong" / "model_opt_trained"
SECONDS_OF_A_REFUSAL = 60.0
SECONDS_OF_A_TEXT = 180.0
END = 'eos_token = "<|endoftext|>"'
PLAN = "budget_tokens = {}\nlong_tokens = 4096\nshort_rate = 0.9\nmax_epochs = 4"
HUB = '\n\n[[sources]]\nname = "hub"\ndomain = "web"\nhub = "{}"\nsplit = "train"'

RECIPES: dict[str, dict[str, str]] = {  # sections in place of those of a sound recipe
    "deep nesting": {"top": f'mix = "small"\nnotes = {"[" * 3000}{"]" * 3000}'},
    "deep tables": {"top": f'mix = "small"\n[{".".join("a" * 2000)}]\nb = 1'},
    "absurd window": {"pack": "sequence_tokens = 1000000000000000000000000000000"},
    "absurd budget": {"plan": PLAN.format("1000000000000000000000000")},
    "large window": {"pack": "sequence_tokens = 4611686018427387904"},
    "negative window": {"pack": "sequence_tokens = -1"},
    "a budget of text": {"plan": PLAN.format('"99999999999999999999999P"')},
    "infinite": {"dedup": "threshold = nan"},
    "unknown runner": {"run": 'runner = "NoRunner"'},
    "unknown option": {"run": "workers = 1\n[run.options]\nno_such_option = 3"},
    "odd hub id": {"run": f"workers = 1{HUB.format('../..')}"},
    "odd hub name": {"run": f"workers = 1{HUB.format('-a--b..c/.')}"},
    "many workers": {"run": "workers = 1000000000"},
    "many keys": {"run": "\n".join(["workers = 1", *(f"key_{i} = {i}" for i in range(20_000))])},
}


def wrong_of(results: dict[str, Ended], *, may_build: tuple[str, ...] = ()) -> Outcome:
    """Which of several inputs were not refused in one line."""
    wrong = [
        f"{name}: {ended.summary()}"
        for name, ended in results.items()
        if not (ended.is_refused or (name in may_build and ended.is_done))
    ]
    n = len(results)
    return outcome(not wrong, f"{n - len(wrong)} of {n}; {wrong[0]}" if wrong else f"{n} of {n} refused in one line")


def odd_recipes(ground: Ground) -> Outcome:
    results = {name: ground.build_small("", SECONDS_OF_A_REFUSAL, **parts) for name, parts in RECIPES.items()}
    raw = ground.small("")
    for name, content in {
        "zeros": bytes(9999),
        "latin": b'mix = "\xe9"',
        "marks": b"\xff\xfe" + b"mix".ljust(99),
    }.items():
        raw.write_bytes(content)
        results[name] = ground.run("build", raw, "--root", ground.folder / "root", seconds=SECONDS_OF_A_REFUSAL)
    return wrong_of(results)


def tokenizers() -> dict[str, bytes]:
    raw = TOKENIZER.read_bytes()
    sound = json.loads(raw)

    def changed(**parts: object) -> bytes:
        return json.dumps({**sound, **parts}).encode()

    far = {**sound["model"], "vocab": {**sound["model"]["vocab"], "far": 2**40}}
    split = {"type": "Split", "pattern": {"Regex": "(?<broken"}, "behavior": "Isolated", "invert": False}
    return {
        "empty": b"",
        "an empty object": b"{}",
        "cut off": raw[: len(raw) // 2],
        "zeros": bytes(9999),
        "deep nesting": b'{"model": ' + b"[" * 100_000,
        "far id": changed(model=far),
        "no vocabulary": changed(model={**sound["model"], "vocab": {}, "merges": []}),
        "broken pattern": changed(pre_tokenizer=split),
        "unknown model": changed(model={"type": "NoModel"}),
        "no end": changed(added_tokens=[]),
    }


def odd_tokenizers(ground: Ground) -> Outcome:
    results, path = {}, ground.folder / "tokenizer.json"
    for name, raw in tokenizers().items():
        path.write_bytes(raw)
        results[name] = ground.build_small("", SECONDS_OF_A_REFUSAL, encode=f'tokenizer = "{path}"\n{END}')
    return wrong_of(results, may_build=("no end",))  # a token of the vocabulary may end documents


def odd_models(ground: Ground) -> Outcome:
    config = json.loads((MODEL / "config.json").read_text())
    weights = (MODEL / "model.safetensors").read_bytes()
    cases: dict[str, dict[str, bytes]] = {
        name: {"config.json": json.dumps({**config, **parts}).encode()}
        for name, parts in {
            "negative size": {"hidden_size": -64},
            "absurd size": {"hidden_size": 10**15, "ffn_dim": 10**15},
            "no heads": {"num_attention_heads": 0},
            "text for a number": {"hidden_size": "wide"},
            "unknown type": {"model_type": "no-such-model"},
            "negative window": {"max_position_embeddings": -1},
        }.items()
    }
    cases |= {
        "deep config": {"config.json": b'{"a": ' + b"[" * 100_000},
        "cut weights": {"model.safetensors": weights[: len(weights) // 2]},
        "long header": {"model.safetensors": (2**60).to_bytes(8, "little") + weights[8:]},
        "zeros": {"model.safetensors": bytes(9999)},
    }
    results = {}
    for name, files in cases.items():
        folder = ground.folder / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(MODEL, folder)
        for file, raw in files.items():
            (folder / file).write_bytes(raw)
        score = {"screen": "", "score": "min_tokens = 256\nbudget_tokens = 2000\nchunk_tokens = 32\nmost_pairs = 4"}
        ended = ground.build_small("", SECONDS_OF_A_REFUSAL, **score, **{"score.model": f'weights = "{folder}"'})
        results[name] = ended
    return wrong_of(results)


def backtracking(ground: Ground) -> Outcome:
    """A pattern that takes exponential time on one document: that document is refused and the mix is built."""
    sound = json.loads(TOKENIZER.read_bytes())
    pattern = {"type": "Split", "pattern": {"Regex": "(?:(a+)+b|.)"}, "behavior": "Isolated", "invert": False}
    levels = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    sound["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [pattern, levels]}
    path = ground.folder / "tokenizer.json"
    path.write_text(json.dumps(sound))
    trap = ground.folder / "trap.jsonl"
    trap.write_text(json.dumps({"text": "A text that is a trap: " + "a" * 5_000 + "!"}) + "\n")
    ended = ground.build_small(
        f'name = "trap"\ndomain = "web"\npath = "{trap}"', SECONDS_OF_A_TEXT, encode=f'tokenizer = "{path}"\n{END}'
    )
    if not ended.is_done:
        return outcome(False, ended.summary())
    sql = "SELECT count(*) FROM tables.TOKENS WHERE input_ids IS NULL"
    answer = ground.run("query", ground.folder / "root", sql, "--format", "csv")
    return outcome(answer.is_done, f"built, {answer.last_line} documents without tokens")


def panic(ground: Ground) -> Outcome:
    """A tokenizer without a token for unknown bytes, and a text that holds such: refused, or built without them."""
    sound = json.loads(TOKENIZER.read_bytes())
    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 100, "vocab": vocabulary}  # fmt: skip
    sound |= {"model": model, "added_tokens": sound["added_tokens"][:1]}
    path = ground.folder / "tokenizer.json"
    path.write_text(json.dumps(sound))
    ended = ground.build_small("", SECONDS_OF_A_TEXT, encode=f'tokenizer = "{path}"\n{END}')
    return outcome(ended.is_done or ended.is_refused, ended.summary())


ATTACKS: dict[str, Attack] = {
    "odd-recipes": ("each is refused in one line", odd_recipes),
    "odd-tokenizers": ("each is refused in one line", odd_tokenizers),
    "odd-models": ("each is refused in one line", odd_models),
    "backtracking": ("the mix builds", backtracking),
    "unknown-bytes": ("builds, or refused in one line", panic),
}
