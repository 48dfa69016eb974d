"""All that survives a restart: tables, files, journals. Knows no statistics and no users."""
