"""Tests that check nothing: a patched function that nobody calls, or no assertion that is executed.

    PYTHONPYCACHEPREFIX=$(mktemp -d) python -m pytest -p benchmarks.idle_tests -o enable_assertion_pass_hook=true -q TESTS

The prefix keeps pytest from reading test files that it compiled without the hook. Lists at the end, for each test that
passed: the functions that it replaced by monkeypatch.setattr and that nothing called afterwards, and the test itself where it
executed no assertion and no pytest.raises. A function that only raises or calls pytest.fail must not be called: it is not
listed. A test may check by a call that raises, such as check_laws: look before you change one.
"""

import dis
import functools
import inspect
import types
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

CALLS: dict[str, dict[str, int]] = defaultdict(dict)  # test -> patched name -> calls
CHECKS: dict[str, int] = defaultdict(int)  # test -> assertions executed
RAN: set[str] = set()
now = [""]


def only_raises(function: types.FunctionType) -> bool:
    names = {each.opname for each in dis.get_instructions(function)}
    raises = "RAISE_VARARGS" in names and not names & {"RETURN_VALUE", "RETURN_CONST"}
    return raises or "fail" in function.__code__.co_names


def counted(name: str, value: Any) -> Any:
    if not isinstance(value, types.FunctionType) or inspect.isgeneratorfunction(value) or only_raises(value):
        return value
    test = now[0]
    CALLS[test].setdefault(name, 0)

    @functools.wraps(value)
    def call(*args: Any, **kwargs: Any) -> Any:
        CALLS[test][name] += 1
        return value(*args, **kwargs)

    return call


plain_setattr = pytest.MonkeyPatch.setattr
plain_raises = pytest.raises


def setattr_counted(self: pytest.MonkeyPatch, target: Any, *rest: Any, **options: Any) -> None:
    if rest:
        name = f"{getattr(target, '__name__', target)}.{rest[0]}" if len(rest) > 1 else str(target)
        rest = (*rest[:-1], counted(name, rest[-1]))
    plain_setattr(self, target, *rest, **options)


def raises_counted(*args: Any, **kwargs: Any) -> Any:
    CHECKS[now[0]] += 1
    return plain_raises(*args, **kwargs)


def pytest_configure() -> None:
    pytest.MonkeyPatch.setattr = setattr_counted  # type: ignore[method-assign,assignment]
    pytest.raises = raises_counted  # type: ignore[assignment]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    now[0] = item.nodeid
    yield


def pytest_assertion_pass() -> None:
    CHECKS[now[0]] += 1


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        RAN.add(report.nodeid)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for test in sorted(RAN):
        for name, n_calls in CALLS.get(test, {}).items():
            if not n_calls:
                terminalreporter.write_line(f"{test}: nothing called {name}")
        if not CHECKS[test]:
            terminalreporter.write_line(f"{test}: no assertion was executed")
