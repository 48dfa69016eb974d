"""Entry point of ``mlkit`` and ``python -m mlkit``."""

from mlkit.cli.root import main

if __name__ == "__main__":
    main()
