"""The HTTP server: decodes, calls a flow, encodes. The only place that knows HTTP numbers."""
