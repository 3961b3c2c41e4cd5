"""Whose fault it is that a task on a cluster came to no result."""

import pytest

pytest.importorskip("ray", reason="Ray is not installed")
from ray.exceptions import NodeDiedError, RaySystemError, RayTaskError, RuntimeEnvSetupError

from benchmark.executors.on_ray.runs import _is_of_the_run


@pytest.mark.parametrize(
    ("error", "of_the_run"),
    [
        (RayTaskError("train", "", ValueError("one")), True),
        (RayTaskError("train", "", RaySystemError("no such folder")), False),
        (RuntimeEnvSetupError("no space left"), True),
        (NodeDiedError("gone"), False),
    ],
)
def test_only_what_the_run_did_itself_counts_against_it(error, of_the_run):
    assert _is_of_the_run(error) is of_the_run
