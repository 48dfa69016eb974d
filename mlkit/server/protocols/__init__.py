"""The wire protocols: each turns a body into a query and answers into a reply."""
