"""Prefect as a stranger has it: nothing of the user's own home or settings, nothing told to anyone."""

import os
import tempfile

for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]
os.environ.update(
    PREFECT_HOME=tempfile.mkdtemp(prefix="prefect-of-tests-"),
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
)
