"""flows/interrupts.py: Ctrl-C ends a process whose main thread and libraries do not listen."""

import signal
import subprocess
import sys
import time

import pytest

from flows.exits import INTERRUPTED
from flows.interrupts import SECONDS
from tests.interrupted import hears_interrupts

DEAF = """
import signal, sys, time
from flows.interrupts import end_soon_after_interrupt
end_soon_after_interrupt()
print("ready", flush=True)
{}
"""
WAITS = {
    "catches what Python raises": "while True:\n try: time.sleep(60)\n except KeyboardInterrupt: pass",
    "waits for a thread": "import threading; threading.Thread(target=time.sleep, args=(60,)).start()\ntime.sleep(60)",
}


@pytest.mark.parametrize("name", WAITS)
def test_a_process_that_does_not_listen_is_ended(name):
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF.format(WAITS[name])],
        stdout=-1,
        stderr=-1,
        text=True,
        preexec_fn=hears_interrupts,  # noqa: PLW1509 it starts no thread
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # until it is deaf
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert time.monotonic() - began >= SECONDS, "it has time to end by itself"
    assert errors.splitlines()[-1] == "longmix: stopped; the same command resumes where this one stopped"


def test_another_signal_does_not_end_it():
    program = DEAF.format(
        "signal.signal(signal.SIGUSR1, lambda *_: None)\nsignal.raise_signal(signal.SIGUSR1)\ntime.sleep(2.5)"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (process.returncode, process.stdout) == (0, "ready\n")
