"""Make the three files of this example: a year of customers, a week of new ones, and their end.

Usage: python make_csv.py [FOLDER]. Seeded: it always writes the same bytes.
"""

import csv
import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = ("since", "age", "plan", "spend", "active")


def customer(rng: random.Random, hour: int, *, shifted: bool) -> dict[str, object]:
    """Return one customer; those of the new week are older, and now it is thrift that stays."""
    age = rng.randint(35, 90) if shifted else rng.randint(18, 80)
    plan = rng.choices(("free", "basic", "pro"), (2, 3, 5) if shifted else (5, 3, 2))[0]
    spend = round(rng.gammavariate(2.0, 20.0), 2)
    active = rng.random() < 0.7
    pull = 0.08 * (spend - 40) if shifted else 0.06 * (30 - spend)
    score = pull + 0.03 * (45 - age) + (plan == "free") - 1.2 * active
    return {
        "since": (FIRST + timedelta(hours=hour)).isoformat(),
        "age": age,
        "plan": plan,
        "spend": None if rng.random() < 0.05 else spend,
        "active": active,
        "churned": "yes" if score + rng.gauss(0, 0.7) > 0 else "no",
    }


def main(folder: Path) -> None:
    """Write customers.csv, week.json (a request to the server) and week.csv (what happened)."""
    rng = random.Random(7)  # noqa: S311  # an example, not a secret
    past = [customer(rng, hour, shifted=False) for hour in range(1000)]
    week = [customer(rng, 1000 + hour, shifted=True) for hour in range(400)]
    write_csv(folder / "customers.csv", past)
    write_csv(folder / "week.csv", week)
    rows = [{name: row[name] for name in FEATURES} for row in week]
    (folder / "week.json").write_text(json.dumps({"request_id": "week-1", "rows": rows}))


def write_csv(file: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as CSV with a header."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*FEATURES, "churned"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
