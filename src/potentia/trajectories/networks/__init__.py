"""Networks that map a scaled initial state, times and parameters to scaled states."""
