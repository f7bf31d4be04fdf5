"""Data sets of labelled structures."""
