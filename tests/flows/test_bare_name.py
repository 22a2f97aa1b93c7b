"""A bare name is found wherever Prefect's own parser finds it, and completed when one deployment alone bears it."""

import asyncio
import inspect
import random
import subprocess
import sys
from itertools import chain

import pytest
from prefect.cli import deployment
from prefect.cli._app import _app, _normalize_top_level_flags

from flows import bare_name as plugin
from flows.bare_name import TAKES_A_VALUE, bare_name, complete, is_prefect, profile_of

SEEDS = range(150)
NAME = "build-128k-mix"
GLOBAL = [["--profile", "other"], ["--profile=other"], ["--no-prompt"], ["--prompt"]]
OPTIONS = [  # of each parameter the spellings
    [["--watch"], ["--no-watch"]],
    [["--watch-interval", "3"], ["--watch_interval", "3"], ["--watch-interval=3"]],
    [["--watch-timeout", "600"]],
    [["-p", "mix=run"], ["--param", "root=deployment"], ["--param=a=1"], ["-pa=1"]],
    [["--params", '{"a": 1}'], ["--params", "-"]],
    [["--tag", "run"], ["--tag=x"]],
    [["-jv", "a=1"], ["--job-variable", "a=1"]],
    [["--start-in", "5 hours"], ["--start-at", "tomorrow"]],
    [["--flow-run-name", "nightly"]],
]


def commands(seed: int) -> list[str]:
    """A command line that runs a deployment by name, in one of the many ways to write it."""
    draw = random.Random(seed)
    before = draw.sample([*GLOBAL, ["-p", "other"]], draw.choice([0, 0, 1]))
    tail = [
        [draw.choice([NAME, NAME, "build-mix/" + NAME])],
        *map(draw.choice, draw.sample(OPTIONS, draw.randrange(5))),
    ]
    if not before and draw.random() < 0.2:
        tail.append(draw.choice(GLOBAL))
    draw.shuffle(tail)
    words = ["deployment" if draw.random() < 0.8 else "deployments", "run"]
    return ["/venv/bin/prefect", *chain(*before), *words, *chain(*tail)]


def as_prefect_reads(argv: list[str]) -> tuple[str | None, str | None]:
    """The name and the profile, from Prefect's own parsers."""
    _, outer, *_ = _app.meta.parse_args(_normalize_top_level_flags(argv[1:]), exit_on_error=False, print_error=False)
    command, bound, *_ = _app.parse_args(list(outer.args), exit_on_error=False, print_error=False)
    assert command.__wrapped__ is deployment.run.__wrapped__
    return bound.arguments.get("name"), outer.kwargs.get("profile")


def test_the_name_is_the_one_that_prefect_reads():
    for seed in SEEDS:
        argv = commands(seed)
        name, profile = as_prefect_reads(argv)
        place = bare_name(argv)
        assert (argv[place] if place else None) == (name if "/" not in name else None), argv
        assert profile_of(argv) == profile, argv


def test_the_cases_that_the_parser_must_settle():
    """Guards the test above from passing on easy input."""
    drawn = [commands(seed) for seed in SEEDS]
    for option in [*chain(*OPTIONS), *GLOBAL]:
        assert any(option[0] in argv for argv in drawn), option
    assert any(argv[1] == "-p" for argv in drawn)
    assert any(argv.index("-p") > 3 for argv in drawn if "-p" in argv)
    assert any(argv[-1] == NAME for argv in drawn)
    assert any(argv[3] == NAME for argv in drawn)
    assert any("build-mix/" + NAME in argv for argv in drawn)


def test_every_option_with_a_value_is_known():
    """A new option of Prefect's would make its value look like a second name."""
    known = set()
    for parameter in inspect.signature(deployment.run, eval_str=True).parameters.values():
        if parameter.annotation.__origin__ is not bool and parameter.name not in ("name", "deployment_id"):
            (spec,) = parameter.annotation.__metadata__
            known |= {*spec.name, *spec.alias}
    assert known | {"--profile", "-jv"} == TAKES_A_VALUE


@pytest.mark.parametrize(
    "words",
    [
        [], ["version"], ["deployment"], ["deployment", "run"], ["deployment", "ls"], ["deployment", "inspect", NAME],
        ["deployment", "delete", NAME], ["deployment", "run", "--help"], ["deployment", "run", NAME, "--help"],
        ["deployment", "run", "--id", "1f"], ["deployment", "run", NAME, "--id=1f"], ["deployment", "run", NAME, "--id", "1f"],
        ["deployment", "run", NAME, "another"], ["deployment", "run", "build-mix/" + NAME], ["deploy", "run", NAME],
        ["flow-run", "ls"], ["work-pool", "create", "run"], ["config", "set", "deployment", "run", NAME],
        ["--profile", "deployment", "run", NAME], ["server", "start"], ["-p", "x", "deployment", "ls"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_other_command_passes_through(words):
    async def asked(name):
        raise AssertionError(name)

    argv = ["prefect", *words]
    asyncio.run(complete(argv, asked))
    assert argv == ["prefect", *words]


@pytest.mark.parametrize(
    ("argv", "typed", "is_it"),
    [
        (["/venv/bin/prefect", "a"], ["/venv/bin/python", "/venv/bin/prefect", "a"], True),
        (["prefect.exe", "a"], ["prefect.exe", "a"], True),
        (["-m", "a"], ["/venv/bin/python", "-m", "prefect", "a"], True),
        (["-m", "a"], ["/venv/bin/python", "-X", "dev", "-mprefect", "a"], True),
        (["-m"], ["/venv/bin/python", "-m", "prefect"], True),
        (["-m", "prefect"], ["/venv/bin/python", "-m", "pytest", "prefect"], False),
        (["-m", "deployment", "run", "prefect"], ["python", "-m", "mine", "deployment", "run", "prefect"], False),
        (["/venv/bin/pytest", "prefect"], ["/venv/bin/python", "/venv/bin/pytest", "prefect"], False),
        (["-c", "prefect"], ["python", "-c", "pass", "prefect"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_only_prefects_own_command_is_looked_at(argv, typed, is_it):
    assert is_prefect(argv, typed) is is_it


def completed(found: list[str] | Exception) -> str:
    async def find(name):
        assert name == NAME
        if isinstance(found, Exception):
            raise found
        return found

    argv = ["prefect", "deployment", "run", "-p", f"x={NAME}", NAME, "--watch"]
    asyncio.run(complete(argv, find))
    assert (argv[:5], argv[6:]) == (["prefect", "deployment", "run", "-p", f"x={NAME}"], ["--watch"])
    return argv[5]


def test_one_bearer_completes_the_name():
    assert completed([f"build-mix/{NAME}"]) == f"build-mix/{NAME}"
    assert completed(["a/b", f"c/{NAME}", f"{NAME}/d", f"e/{NAME}-2"]) == f"c/{NAME}"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([f"a/{NAME}", f"b/{NAME}"], f"longmix: {NAME}: several deployments have this name; choose a/{NAME} or b/{NAME}"),
        (["a/b", "c/d"], f"longmix: {NAME}: no deployment has this name; choose from a/b, c/d"),
        ([f"f/{i}" for i in range(10)], "f/8, f/9\n"),
        ([f"f/{i}" for i in range(11)], "f/8, f/9, ...\n"),
        ([], f"longmix: {NAME}: the server has no deployments; create them with `make deploy`"),
        (OSError("refused\nmore"), f"longmix: {NAME}: no Prefect server answers (refused); start one with `make server`"),
        (TimeoutError(), f"longmix: {NAME}: no Prefect server answers (TimeoutError); start one with `make server`"),
    ],
    ids=["two", "another", "ten", "eleven", "none", "no server", "slow server"],
)  # fmt: skip
def test_otherwise_one_line_says_why(found, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        completed(found)
    assert stopped.value.code == 1
    out, err = capsys.readouterr()
    assert not out
    assert said in err
    assert err.count("\n") == 1


def test_an_unknown_profile_is_left_to_prefect():
    argv = ["prefect", "--profile", "nobody's", "deployment", "run", NAME]
    asyncio.run(complete(argv, pytest.fail))
    assert argv[-1] == NAME


def test_another_command_imports_no_client():
    """The hook is in the way of every Prefect command: it may not make them slower."""
    code = (
        "import sys; sys.argv = ['prefect', 'version']; import asyncio, prefect; before = set(sys.modules);"
        "import flows.bare_name; asyncio.run(flows.bare_name.setup_environment(ctx=None));"
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= {"flows", "flows.bare_name", "prefect.plugins"} | set(plugin_machinery())


def plugin_machinery() -> list[str]:
    """What Prefect itself loads where plugins are on."""
    code = "import sys, prefect, asyncio; before = set(sys.modules); import prefect.plugins; prefect.plugins.register_hook;"
    code += "print(*sorted(set(sys.modules) - before))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_the_hook_is_an_entry_point():
    from importlib.metadata import entry_points

    (found,) = entry_points(group="prefect.plugins", name="longmix")
    assert found.load() is plugin
