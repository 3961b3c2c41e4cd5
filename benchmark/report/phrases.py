"""Parts of sentences that several conclusions are made of."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmark.report.tables import difference

MOST_NAMED = 4  # items in a list; a sentence with more is not quoted by anybody


def differs(row: pd.Series) -> str:
    """A loss with its difference: ``giou at +2.1 [+1.9, +2.3]``; its name where it has none."""
    if row["diff"] != row["diff"]:
        return str(row["loss"])
    return f"{row['loss']} at {difference(row['diff'], row['diff_low'], row['diff_high'])}"


def differing(rows: pd.DataFrame) -> str:
    """Several losses with their differences, as a list in a sentence."""
    return named(differs(row) for _, row in rows.iterrows())


def pairs(rows: pd.DataFrame) -> str:
    """``6 paired runs``, or ``3 to 6 paired runs`` where the rows differ."""
    low, high = int(rows["n_pairs"].min()), int(rows["n_pairs"].max())
    return counted(low, "paired run") if low == high else f"{low} to {high} paired runs"


def counted(number: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def named(items: Iterable[str]) -> str:
    """Up to :data:`MOST_NAMED` names in a sentence, the rest as a number; "" for none."""
    names = list(items)
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} more"]
    return joined_names(names)


def joined_names(names: list[str]) -> str:
    """All names: ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def joined(clauses: list[str]) -> str:
    """Clauses, which hold commas themselves, as one sentence."""
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{'; '.join(clauses[:-1])}; and {clauses[-1]}"
