"""The HTTP server: decodes, calls a flow, encodes. No other folder knows HTTP status codes."""
