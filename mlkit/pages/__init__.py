"""Pages for people: one HTML file each, nothing fetched from anywhere, no script."""
