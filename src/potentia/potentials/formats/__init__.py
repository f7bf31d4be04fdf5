"""File formats of structures: XSF by our own reader, all else through ASE."""
