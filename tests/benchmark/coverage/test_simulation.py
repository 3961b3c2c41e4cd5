from __future__ import annotations

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.coverage import page
from benchmark.coverage.draws import SHAPES
from benchmark.coverage.simulation import COLUMNS, REPETITIONS, Settings, simulate, steps

SMALL = Settings(experiments=3_000, resampled=300, resamples=199)


@pytest.fixture(scope="module")
def rates() -> pd.DataFrame:
    return simulate(SMALL)


def rate_of(rates: pd.DataFrame, method: str, shape: str, n: int) -> float:
    own = rates[(rates["method"] == method) & (rates["shape"] == shape)]
    return own.loc[own["repetitions"] == n, "rate"].iloc[0]


def test_t_intervals_keep_their_level_for_normal_differences(rates):
    for method in ("t", "pooled t"):
        own = rates[(rates["method"] == method) & (rates["shape"] == "normal")]
        assert set(own["repetitions"]) == set(REPETITIONS)
        assert own["rate"].between(0.94 - 0.012, 0.96 + 0.012).all()  # three standard errors


def test_what_does_not_hold(rates):
    assert rate_of(rates, "percentile bootstrap", "normal", 3) < 0.85
    assert rate_of(rates, "BCa bootstrap", "normal", 3) < 0.85
    assert rate_of(rates, "t", "skewed", 6) < 0.92
    assert rate_of(rates, "sign-flip", "normal", 4) == 0  # cannot reach 5 %
    assert rate_of(rates, "any of 5, uncorrected", "normal", 5) > 0.15
    assert rate_of(rates, "any of 5, Holm", "normal", 5) < 0.05 + 0.012


def test_rows_and_their_standard_errors(rates):
    assert list(rates.columns) == COLUMNS
    assert not rates.duplicated(COLUMNS[:5]).any()
    assert set(rates["shape"]) == set(SHAPES)
    row = rates[rates["method"] == "t"].iloc[0]
    error = (row["rate"] * (1 - row["rate"]) / 3_000) ** 0.5
    assert row["standard_error"] == pytest.approx(error)
    assert set(rates.loc[rates["method"] == "sign-flip", "experiments"]) == {300}


def test_the_same_seed_gives_the_same_rates_and_each_step_is_told():
    tiny = Settings(experiments=100, resampled=100, resamples=19)
    told: list[None] = []
    first = simulate(tiny, lambda: told.append(None))
    assert len(told) == len(steps(tiny))
    pd.testing.assert_frame_equal(first, simulate(tiny))
    other = simulate(Settings(experiments=100, resampled=100, resamples=19, seed=1))
    assert (other["rate"] != first["rate"]).any()


def frame(measure: str, method: str, by_n: dict[int, float], error: float = 0.001) -> pd.DataFrame:
    return pd.DataFrame(
        [(measure, method, "normal", n, 1, 1000, rate, error) for n, rate in by_n.items()],
        columns=COLUMNS,
    )


@pytest.mark.parametrize(
    ("by_n", "finding"),
    [
        ({3: 0.95, 5: 0.937}, "covers 93.7 to 95.0 % for 3 to 5 repetitions; it keeps its level"),
        ({3: 0.95, 5: 0.962}, "it keeps its level or is a little wide"),
        ({3: 0.90, 5: 0.93, 9: 0.95}, "too narrow with 3, 5 repetitions"),
        ({3: 0.90, 5: 0.92}, "too narrow throughout"),
        ({3: 0.99, 5: 0.95}, "not at its level with 3 repetitions"),
    ],
)
def test_findings_on_coverage(by_n, finding):
    [found] = page.findings(frame("coverage", "t", by_n), 0.95)
    assert found.startswith("**t-interval**, normal differences: covers ")
    assert found.endswith(f"{finding}.")


@pytest.mark.parametrize(
    ("highest", "finding"), [(0.052, "; not clearly above 5 %"), (0.06, "; clearly above 5 %")]
)
def test_findings_on_errors(highest, finding):
    [found] = page.findings(frame("error", "sign-flip", {4: 0.0, 6: highest}), 0.95)
    assert found.endswith(f"{finding}.")


def test_command(cli, tmp_path):
    done = cli("bench", "coverage", "--experiments", 100, "--out", "out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    names = {
        "README.md",
        "coverage.csv",
        *(f"{n}.{s}" for n in ("coverage", "errors") for s in ("png", "svg")),
    }
    assert {path.name for path in out.iterdir()} == names
    rates = pd.read_csv(out / "coverage.csv")
    assert list(rates.columns) == COLUMNS
    text = (out / "README.md").read_text(encoding="utf-8")
    for finding in page.findings(rates, 0.95):
        assert f"- {finding}" in text
    assert "bench coverage --experiments 100" in text


def test_command_refuses_too_few_experiments():
    done = CliRunner().invoke(app, ["bench", "coverage", "--experiments", "10"])
    assert done.exit_code == 2
    assert "--experiments" in done.stderr
