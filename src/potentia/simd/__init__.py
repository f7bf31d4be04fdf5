"""SIMD vectors in Numba: arithmetic, elementary functions, threads."""
