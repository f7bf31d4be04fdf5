"""Features of the behaviour of fields over time, one family a file."""
