"""One file per user-visible act: the only place that joins steps and store."""
