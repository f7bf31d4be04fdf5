"""Files of structures, of training sets and of predictions: those of ænet by our own readers, all else through ASE."""
