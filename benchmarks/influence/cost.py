"""CPU seconds and peak memory of raw_parts against the original's way, and the counted FLOPs of both.

    .venv/bin/python -m benchmarks.influence.cost               1,024, 4,096 and 8,192 tokens of context: about an hour
    .venv/bin/python -m benchmarks.influence.cost --tokens 1024

Prints Markdown. Each measurement is a process of its own on one thread, on one sample of real text. Both ways run the same
loaded model (float32, products packed), so that the ratio is that of the method. `original` is a plain reimplementation
of S1s-Z/GATEAU with its padding set to 8,192 tokens in place of 64,000:

    HMG       two passes over the sample, logits of all positions
    CAM       one pass over the padded context, instruction and response with logits of all positions; in each layer the
              whole softmax of the response rows, of which the mean over heads is kept in float16 until the pass ends
    segments  the padded context in segments of 128 tokens, 32 at a time, logits of all positions

It is spared the original's masks (padding in a segment is attended to, at the same cost) and the token that it drops, and
has the BOS in every pass. Equal values are asserted: nll of the long pass and of each whole segment, and, at 1,024
tokens, attention from a run of the original's way whose padding is as long as the context.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

from scorers.attention import with_attention
from scorers.influence import InfluenceParams, ShortParams, load, raw_parts
from scorers.lm import LM, ModelParams, body
from scorers.passes import passes_of
from scorers.sample import Sample
from scorers.weights import Weights, tokenizer_of

GGUF = Path("data/models/SmolLM2-135M-Instruct.Q4_1.gguf")
BOOKS = Path("examples/corpus/book")
PADDED, SEGMENT, BATCH, WINDOW = 8_192, 128, 32, 8_192
HEADER, INSTRUCTION, RESPONSE, SHORT = 1, 64, 128, 512
ROWS = "plain_rows"


def settings() -> InfluenceParams:
    model = ModelParams(weights=Weights.of(GGUF))
    return InfluenceParams(model=model, short=ShortParams(context_tokens=SHORT), segment_tokens=SEGMENT, sink_tokens=0)


def sample_of(n_tokens: int) -> Sample:
    """BOS and consecutive tokens of a book. The longest context leaves room for the rest of the window."""
    n_context = min(n_tokens, WINDOW - HEADER - INSTRUCTION - RESPONSE)
    text = max(BOOKS.rglob("*.txt"), key=lambda path: path.stat().st_size).read_text()
    tokenizer = Tokenizer.from_file(str(tokenizer_of(Weights.of(GGUF))))
    ids = tokenizer.encode(text[20_000:90_000], add_special_tokens=False).ids[: n_context + INSTRUCTION + RESPONSE]
    start = HEADER + n_context
    return Sample(np.array([1, *ids], np.int32), HEADER, start, start + INSTRUCTION)


# -- the original's way


def all_nll(lm: LM, ids: np.ndarray, n: int) -> np.ndarray:
    """[b, n] nll of the last n tokens, from logits of all positions."""
    with torch.inference_mode():
        batch = torch.as_tensor(ids.astype(np.int64))
        logits = lm.model(batch, use_cache=False).logits.float()
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1), reduction="none"
        )
        return loss.reshape(len(ids), -1)[:, -n:].double().numpy()


def original(lm: LM, sample: Sample, padded: int) -> dict[str, np.ndarray]:
    n = len(sample.response)
    long = [all_nll(lm, sample.ids[None], n)[0] for _ in "AB"][1]
    n_padding = padded - len(sample.context)
    context = np.append(sample.context, np.full(n_padding, lm.anchor)).astype(np.int32)
    kept = padded_maps(lm, sample, context, n_padding)
    attention = np.stack([rows.float().reshape(n, -1, SEGMENT).mean(-1).mean(0).numpy() for rows in kept])
    tail = np.concatenate([sample.instruction, sample.response])
    passes = np.stack([np.concatenate([sample.header, piece, tail]) for piece in context.reshape(-1, SEGMENT)])
    segments = [all_nll(lm, passes[first : first + BATCH], n) for first in range(0, len(passes), BATCH)]
    return {"long": long, "segments": np.concatenate(segments), "attention": attention}


def padded_maps(lm: LM, sample: Sample, context: np.ndarray, n_padding: int) -> list:
    """[r, n_context] float16 of each layer: softmax of the response rows without padding, mean over heads."""
    ids = np.concatenate([sample.header, context, sample.instruction, sample.response])[None]
    n, start, kept = len(sample.response), len(sample.header), []
    stop = start + len(context)
    own = transformers.AttentionInterface()["sdpa"]

    def rows(module, query, key, value, mask, scaling=None, **rest):
        keys = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        logits = (query[:, :, -n:] @ keys.transpose(2, 3) * scaling)[0]
        hidden = torch.ones(n, logits.shape[-1], dtype=torch.bool).triu(logits.shape[-1] - n + 1)
        hidden[:, stop - n_padding : stop] = True
        weight = logits.masked_fill(hidden, -torch.inf).softmax(-1)
        kept.append(weight.mean(0)[:, start:stop].half())
        return own(module, query, key, value, mask, scaling=scaling, **rest)

    with torch.inference_mode():
        with_attention(lm, ROWS, rows).model(torch.as_tensor(ids.astype(np.int64)), use_cache=False)
    return kept


# -- one measurement, in a process of its own


def ours(pair, sample: Sample, params: InfluenceParams) -> dict[str, np.ndarray]:
    raw = raw_parts(pair, sample, params)
    return {
        "long": raw.nll_long, "segments": raw.segment_nll, "attention": raw.attention,
    }  # fmt: skip


def memory(name: str) -> int:
    """Bytes: VmRSS, or VmHWM, its peak since reset_peak()."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def measure(way: str, n_tokens: int, out: Path) -> None:
    """Write the values, and print CPU seconds and peak bytes above the loaded model."""
    params = settings()
    pair, sample = load(params), sample_of(n_tokens)
    body(pair.long, sample.ids[None, :64])
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
    loaded, start = memory("VmRSS"), time.process_time()
    if way == "raw_parts":
        values = ours(pair, sample, params)
    else:
        values = original(pair.long, sample, PADDED if way == "original" else len(sample.context))
    report = {"seconds": time.process_time() - start, "bytes": memory("VmHWM") - loaded}
    np.savez(out, **values)
    print(json.dumps(report))


def measured(way: str, n_tokens: int, folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    out = folder / f"{way}-{n_tokens}.npz"
    command = [sys.executable, "-m", "benchmarks.influence.cost", "--measure", way, str(n_tokens), str(out)]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    return json.loads(line), dict(np.load(out))


def compare(lean: dict, plain: dict, n_context: int, unpadded: dict | None) -> str:
    """The largest differences. unpadded: the original's values without padding."""
    whole = n_context // SEGMENT
    diffs = {
        "nll_long": np.abs(lean["long"] - plain["long"]).max(),
        "segment nll": np.abs(lean["segments"][:whole] - plain["segments"][:whole]).max(),
    }
    if unpadded is not None:
        diffs["attention, relative"] = np.abs(lean["attention"] / unpadded["attention"] - 1).max()
    assert diffs["nll_long"] < 1e-3, diffs
    assert diffs["segment nll"] < 1e-3, diffs
    assert diffs.get("attention, relative", 0) < 2e-3, diffs  # the original keeps float16
    return ", ".join(f"{name} {value:.1g}" for name, value in diffs.items())


# -- counted FLOPs


SHAPES = {  # layers, width, FLOP of a token in the body, in the head
    "SmolLM2-135M": (30, 576, 2 * 106_168_320, 2 * 576 * 49_152),
    "Llama-2-7B": (32, 4_096, 2 * 6_476_005_376, 2 * 4_096 * 32_000),
}


def forward(shape: tuple[int, int, int, int], n: int, n_head: int, n_rows: int = 0) -> int:
    """FLOP of a pass: body, causal attention (2 products of n * n / 2 pairs), head on n_head and recorded rows."""
    layers, width, by_token, head = shape
    return n * by_token + 2 * layers * n * n * width + n_head * head + 2 * layers * n_rows * n * width


def flops(shape: tuple[int, int, int, int], n_tokens: int, padded: int) -> tuple[int, int]:
    """Of the original and of raw_parts."""
    tail, y = HEADER + INSTRUCTION + RESPONSE, RESPONSE
    long, wide, piece = n_tokens + tail, padded + tail, SEGMENT + tail
    whole = 2 * forward(shape, long, long) + forward(shape, wide, wide, y)
    whole += padded // SEGMENT * forward(shape, piece, piece)
    sample = Sample(np.zeros(long, np.int32), HEADER, HEADER + n_tokens, HEADER + n_tokens + INSTRUCTION)
    passes = passes_of(sample, settings(), 1 << 20)
    lean = forward(shape, len(passes.long), y, y)
    short = [passes.short, passes.no_context, passes.alone, *passes.segments]
    return whole, lean + sum(forward(shape, len(ids) - 1, y) for ids in short)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, nargs="+", default=[1_024, 4_096, 8_192])
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "TOKENS", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        way, n_tokens, out = args.measure
        measure(way, int(n_tokens), Path(out))
        return
    from tempfile import TemporaryDirectory

    print(
        "| context | original, s | raw_parts, s | ratio | original, MB | raw_parts, MB | share | largest differences |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with TemporaryDirectory() as name:
        for n_tokens in args.tokens:
            (lean, values), (plain, theirs) = (measured(way, n_tokens, Path(name)) for way in ("raw_parts", "original"))
            unpadded = measured("unpadded", n_tokens, Path(name))[1] if n_tokens == 1_024 else None
            n_context = len(sample_of(n_tokens).context)
            print(
                f"| {n_context:,} | {plain['seconds']:.1f} | {lean['seconds']:.1f} | "
                f"{plain['seconds'] / lean['seconds']:.2f} | {plain['bytes'] / 1e6:,.0f} | {lean['bytes'] / 1e6:,.0f} | "
                f"{lean['bytes'] / plain['bytes']:.3f} | {compare(values, theirs, n_context, unpadded)} |",
                flush=True,
            )
    print(
        "\n| model | context | padding | original, TFLOP | raw_parts, TFLOP | ratio |\n| --- | --- | --- | --- | --- | --- |"
    )
    for model, shape in SHAPES.items():
        for padded in (PADDED, 64_000):
            for n_tokens in (1_024, 4_096, 8_192):
                whole, lean_flops = flops(shape, n_tokens, padded)
                print(
                    f"| {model} | {n_tokens:,} | {padded:,} | {whole / 1e12:,.1f} | {lean_flops / 1e12:,.2f} | "
                    f"{whole / lean_flops:.1f} |"
                )


if __name__ == "__main__":
    main()
