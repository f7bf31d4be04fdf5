"""Systems of fields that data are made of, one file each."""
