"""The script that one writes with Evidently: ``evidently_script.py REFERENCE WINDOW``."""

import sys

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main() -> None:
    """Read both files, compare, and say how many columns drifted."""
    reference, window = (pd.read_parquet(file) for file in sys.argv[1:])
    found = Report([DataDriftPreset()]).run(window, reference).dict()
    print(found["metrics"][0]["value"])


if __name__ == "__main__":
    main()
