"""Surrogates of coupled ODE systems: from an initial state, a time and parameters to the state."""
