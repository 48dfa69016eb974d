"""HTML pages: self-contained files without scripts and external resources."""
