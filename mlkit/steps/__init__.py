"""Pure maths on values: nothing here reads a database, a setting file or a clock."""
