"""What holds for all tests: compiled kernels belong to the sources that are tested."""

from __future__ import annotations

from pathlib import Path

import potentia


def pytest_configure() -> None:
    """Remove compiled kernels that are older than a source beside them, or than the SIMD vectors.

    Numba looks at the file of a function alone, so a change in another file that it calls would go unseen.
    """
    root = Path(potentia.__file__).parent
    for folder in {path.parent for path in root.rglob("*_numba.py")}:
        newest = max(path.stat().st_mtime for place in (folder, root / "simd") for path in place.glob("*.py"))
        for compiled in (folder / "__pycache__").glob("*.nb[ci]"):
            if compiled.stat().st_mtime < newest:
                compiled.unlink(missing_ok=True)
