"""Laws that a part of one's own must keep: a descriptor, a potential, a surrogate, a model, a network, an optimizer.

Each law is a plain function that returns nothing where it holds, and raises an `AssertionError` that names it where it
is broken. The tests of this package call the same functions. One module for each kind of part:

- `potentia.testing.descriptors`, `potentia.testing.potentials`: features; energies, forces and stress
- `potentia.testing.trajectories`: surrogates, and systems of equations
- `potentia.testing.dynamics`: models of dynamics
- `potentia.testing.operators`: networks on fields
- `potentia.testing.methods`: optimizers, schedules and averages of weights
- `potentia.testing.estimators`: files of estimators, and settings
"""
