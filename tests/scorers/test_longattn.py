"""DS and DU against whole maps of attention in float64, and the query that scales them over a corpus."""

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pytest

from schemas.errors import RecipeError, StageError
from scorers import longattn
from scorers.lm import LM, ModelParams, body, load
from scorers.longattn import (
    PARTS,
    FirstLayer,
    LongAttnParams,
    capture,
    captured,
    far,
    first_layer,
    score,
    spread,
    starts,
)
from scorers.weights import Weights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

OPT = Path(__file__).parents[1] / "reference" / "prolong" / "model_opt_trained"
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 61, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
KINDS = {
    "llama": lambda: transformers.LlamaConfig(**SIZES),
    "one key head": lambda: transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 1}),
    "qwen3": lambda: transformers.Qwen3Config(
        **SIZES, head_dim=16
    ),  # norms of queries and keys, heads of their own size
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**SIZES),  # one matrix for all three, a part of a head is rotary
    "opt": lambda: None,  # learned positions, a scale that is in the queries already
}
PARAMS = LongAttnParams(min_tokens=4)


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    found = {}
    for kind, config in KINDS.items():
        found[kind] = OPT if kind == "opt" else tmp_path_factory.mktemp(kind)
        if kind != "opt":
            torch.manual_seed(5)
            transformers.AutoModelForCausalLM.from_config(config()).save_pretrained(found[kind])
    return found


@pytest.fixture(scope="session")
def lms(folders) -> dict[str, LM]:
    return {kind: load(ModelParams(weights=Weights.of(folder), window_tokens=64)) for kind, folder in folders.items()}


@pytest.fixture(scope="session")
def whole_maps(folders):
    """[n_heads, n, n] float64: the first layer's attention, as the model itself makes it."""
    exact = {
        kind: transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float64, attn_implementation="eager"
        ).eval()
        for kind, folder in folders.items()
    }

    def maps(kind: str, ids: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return exact[kind](torch.as_tensor(ids)[None], output_attentions=True).attentions[0][0].numpy()

    return maps


def document(seed: int, n_tokens: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 61, n_tokens)


def slow_ds_du(attention: np.ndarray) -> tuple[float, float]:
    """From one head's whole map, a place at a time."""
    n = len(attention)
    kept = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i - j >= n // 4:
                kept[i, j] = attention[i, j]
    return kept.sum() / n, -kept.var()


@pytest.mark.parametrize("rows", [0, 7, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_ds_and_du_are_those_of_the_whole_map(kind, rows, lms, whole_maps, monkeypatch):
    for n_tokens in (4, 5, 7, 16, 31, 64):
        monkeypatch.setattr(longattn, "LOGITS", rows * n_tokens)
        ids = document(n_tokens, n_tokens)
        found = score(lms[kind], ids, PARAMS)
        wanted = np.array([slow_ds_du(head) for head in whole_maps(kind, ids)])
        np.testing.assert_allclose(found.ds, wanted[None, :, 0], 0, 1e-6, err_msg=f"{n_tokens=}")
        np.testing.assert_allclose(found.du, wanted[None, :, 1], 0, 1e-6, err_msg=f"{n_tokens=}")
        np.testing.assert_allclose(found.du, wanted[None, :, 1], 1e-5, 1e-9, err_msg=f"{n_tokens=}")
        assert (found.status, found.reason, tuple(found.parts)) == ("scored", None, PARTS)
        wanted_parts = [*wanted.mean(axis=0), n_tokens, 1]
        assert list(found.parts.values()) == pytest.approx(wanted_parts, rel=1e-5)


def test_the_maps_are_far_from_uniform_and_from_each_other(whole_maps):
    """Else an oracle of one head, or of no head, would do."""
    for kind in KINDS:
        wanted = np.array([slow_ds_du(head) for head in whole_maps(kind, document(64, 64))])
        uniform = slow_ds_du(np.tri(64) / np.arange(1, 65)[:, None])
        assert len(np.unique(wanted[:, 0].round(3))) == len(wanted), kind
        assert (np.abs(wanted[:, 0] - uniform[0]) > 1e-3).all(), kind


@pytest.mark.parametrize("scale", [1, 30, 1000])
def test_sums_of_given_logits_are_exact(scale):
    """In float64, with logits that overflow an exp of their own."""
    for seed in range(20):
        r = np.random.default_rng(seed)
        n = int(r.integers(4, 40))
        b, distance = int(r.integers(1, n + 1)), int(r.integers(1, n))
        logits = r.standard_normal((n, n)) * scale
        causal = np.where(np.tri(n, dtype=bool), logits, -np.inf)
        attention = np.exp(causal - causal.max(axis=1, keepdims=True))
        attention /= attention.sum(axis=1, keepdims=True)
        kept = (attention * np.tri(n, k=-distance))[n - b :]
        mass, squares = far(torch.as_tensor(logits[n - b :].copy()), distance)
        np.testing.assert_allclose(mass, kept.sum(axis=1), 1e-12, 1e-300, err_msg=f"{seed=}")
        np.testing.assert_allclose(squares, (kept**2).sum(axis=1), 1e-12, 1e-300, err_msg=f"{seed=}")


def test_no_whole_map_is_ever_held(monkeypatch):
    held = []
    monkeypatch.setattr(longattn, "LOGITS", 100)
    monkeypatch.setattr(longattn, "far", lambda logits, distance: held.append(logits.numel()) or far(logits, distance))
    spread(torch.zeros(2, 40, 4), torch.zeros(1, 40, 4), 1.0)
    assert (len(held), max(held)) == (30, 2 * 40)  # of each head, 30 rows by two


def test_uniform_attention_by_hand():
    """8 tokens, nothing to tell them apart: row i gives i - 1 of its i + 1 places to what is 2 or more back."""
    ds, du = spread(torch.zeros(2, 8, 4), torch.zeros(1, 8, 4), 1.0)
    mass = sum((i - 1) / (i + 1) for i in range(2, 8))
    squares = sum((i - 1) / (i + 1) ** 2 for i in range(2, 8))
    assert ds.tolist() == pytest.approx([mass / 8] * 2, rel=1e-12)
    assert du.tolist() == pytest.approx([(mass / 64) ** 2 - squares / 64] * 2, rel=1e-12)


def test_each_key_head_serves_its_own_heads():
    r = np.random.default_rng(0)
    query, key = torch.as_tensor(r.standard_normal((6, 12, 4))), torch.as_tensor(r.standard_normal((3, 12, 4)))
    together = np.array(spread(query, key, 0.5))
    for head in range(6):
        alone = np.array(spread(query[head, None], key[head // 2, None], 0.5))
        np.testing.assert_array_equal(together[:, head : head + 1], alone)


# -- documents


def test_a_longer_document_is_the_mean_of_its_windows(lms):
    lm, ids = lms["llama"], document(2, 150)
    found = score(lm, ids, PARAMS)
    windows = [score(lm, ids[at : at + 64], PARAMS) for at in (0, 43, 86)]
    assert found.parts["ds"] == pytest.approx(np.mean([w.parts["ds"] for w in windows]), rel=1e-12)
    assert found.parts["du"] == pytest.approx(np.mean([w.parts["du"] for w in windows]), rel=1e-12)
    assert (found.parts["window_tokens"], found.parts["n_windows"]) == (64, 3)
    assert score(lm, ids, LongAttnParams(min_tokens=4, window_tokens=50)).parts["n_windows"] == 3
    assert score(lm, ids, LongAttnParams(min_tokens=4, window_tokens=49)).parts["n_windows"] == 4


def test_windows_hold_every_token_and_no_more_are_used_than_must_be():
    assert starts(25, 10) == [0, 7, 15]
    for n_tokens in range(1, 80):
        for window in range(1, n_tokens + 1):
            found = starts(n_tokens, window)
            assert (found[0], found[-1] + window) == (0, n_tokens)
            assert all(0 < b - a <= window for a, b in pairwise(found))
            assert (len(found) - 1) * window < n_tokens


def test_no_score_for_a_short_document(lms):
    params = LongAttnParams(min_tokens=10)
    for n_tokens, status in ((0, "too_short"), (9, "too_short"), (10, "scored")):
        found = score(lms["llama"], document(1, n_tokens), params)
        assert found.status == status
        assert (set(found.parts.values()) == {None}) == (status == "too_short")
    assert score(lms["llama"], document(1, 9), params).reason == "9 tokens, 10 wanted"


def test_a_window_that_does_not_fit_is_refused(lms):
    for params in (LongAttnParams(window_tokens=65, min_tokens=4), LongAttnParams(window_tokens=8, min_tokens=9)):
        with pytest.raises(RecipeError, match="model's window of 64"):
            score(lms["llama"], document(1, 30), params)


def test_one_window_may_be_all_that_is_wanted(lms):
    found = score(lms["llama"], document(1, 9), LongAttnParams(window_tokens=9, min_tokens=9))
    assert (found.status, found.parts["window_tokens"]) == ("scored", 9)


def test_attention_that_is_no_number_is_an_error(lms, monkeypatch):
    query = torch.ones(2, 30, 4)
    query[1, 20, 3] = torch.nan
    monkeypatch.setattr(longattn, "first_layer", lambda *_: (query, torch.ones(1, 30, 4), 1.0))
    found = score(lms["llama"], document(1, 30), PARAMS)
    assert np.isnan(found.ds).tolist() == np.isnan(found.du).tolist() == [[False, True]]
    assert (found.status, found.reason, set(found.parts.values())) == ("error", "attention is not a number", {None})


def test_a_pass_without_memory_is_not_swallowed(lms, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(longattn, "spread", full)
    with pytest.raises(StageError, match="30 tokens does not fit into memory"):
        score(lms["llama"], document(1, 30), PARAMS)


# -- the model


def test_layers_that_are_more_than_a_softmax_are_refused(lms):
    kinds = {
        "softcap": transformers.Gemma2Config(**SIZES, head_dim=16, layer_types=["full_attention", "full_attention"]),
        "sliding_window": transformers.MistralConfig(**SIZES, sliding_window=20),
        "no attention function": transformers.BloomConfig(vocab_size=61, hidden_size=32, n_layer=2, n_head=4),
    }
    for what, config in kinds.items():
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        lm = replace(lms["llama"], model=model)
        with pytest.raises(RecipeError, match=what):
            first_layer(lm, document(1, 30))
        if what == "sliding_window":
            assert len(first_layer(lm, document(1, 20))[0]) == 4  # it cuts nothing off


def test_a_mask_of_the_models_own_is_refused():
    query = torch.zeros(1, 2, 5, 4)
    for mask, odd in ((None, []), (torch.zeros(1, 1, 5, 5), ["attention_mask"])):
        with pytest.raises(FirstLayer) as reached:
            capture(None, query, query, query, mask, scaling=0.5, sliding_window=5)
        assert reached.value.args[2:] == (0.5, odd)


def test_the_model_itself_stays_as_it_was(lms):
    """Other scorers, in other threads, go on with it while its first layer is read."""
    lm, ids = lms["llama"], document(3, 64)
    before = body(lm, ids[None]).numpy()
    ran = []
    other = threading.Thread(target=lambda: ran.extend(body(lm, ids[None]).numpy() for _ in range(20)))
    other.start()
    for _ in range(20):
        score(lm, ids, PARAMS)
    other.join()
    assert len(ran) == 20
    assert all((hidden == before).all() for hidden in ran)
    assert captured(lm) is captured(lm)
    own = {p.data_ptr() for p in lm.model.parameters()}
    assert own == {p.data_ptr() for p in captured(lm).model.parameters()}  # no weight is held twice


# -- a corpus


def test_the_query_of_the_docstring_is_the_codes_score_and_a_half():
    r = np.random.default_rng(0)
    ds, variance = r.uniform(0, 0.3, 30), r.uniform(0, 1e-4, 30)
    select = longattn.__doc__[longattn.__doc__.index("SELECT") :].split("\n\n")[0]
    with duckdb.connect() as db:
        db.execute("CREATE TABLE scores (document_id BIGINT, ds DOUBLE, du DOUBLE)")
        db.executemany(
            "INSERT INTO scores VALUES (?, ?, ?)", [*zip(range(30), ds, -variance, strict=True), (30, None, None)]
        )
        found = dict(db.execute(select).fetchall())
        db.execute("UPDATE scores SET du = -0.5 WHERE du IS NOT NULL")
        alike = dict(db.execute(select).fetchall())
        db.execute("UPDATE scores SET ds = 0.5, du = document_id WHERE du IS NOT NULL")
        alike_too = dict(db.execute(select).fetchall())
    scaled = [(x - x.min()) / (x.max() - x.min()) for x in (ds, variance)]
    wanted = scaled[0] - 0.5 * scaled[1] + 0.5
    assert [found[k] for k in range(30)] == pytest.approx(wanted, rel=1e-9)
    assert [alike[k] for k in range(30)] == pytest.approx(
        scaled[0] + 0.25, rel=1e-9
    )  # all the same: a half, as in the code
    assert [alike_too[k] for k in range(30)] == pytest.approx(0.5 + np.arange(30) / 58, rel=1e-9)
    assert len(found) == 30
