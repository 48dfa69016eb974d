"""The wire protocols: each decodes a body to a query and encodes the answers as a response."""
