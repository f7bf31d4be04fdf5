"""Networks on fields, one file each."""
