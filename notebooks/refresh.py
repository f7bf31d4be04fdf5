"""Execute the notebooks of this folder, each in a fresh kernel, and write them back with what they printed and drew.

    python notebooks/refresh.py          # all
    python notebooks/refresh.py 03 07    # those whose names begin so

What is written depends on nothing but the notebook and the package: one thread, no times, no paths of this machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_SECONDS = 300
"""A cell that takes longer is an error."""


def notebooks(beginnings: tuple[str, ...] = ("",)) -> list[Path]:
    """Return the notebooks whose names begin so, in their order."""
    return sorted(path for path in HERE.glob("*.ipynb") if path.name.startswith(beginnings))


def executed(path: Path, folder: Path) -> NotebookNode:
    """Return the notebook as a fresh kernel leaves it; ``folder``, which must be empty, is its checkout.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell has failed.
    """
    place = folder / "notebooks"
    place.mkdir()
    (folder / "examples").symlink_to(HERE.parent / "examples", target_is_directory=True)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(place)}},
    )
    client.execute(env=environment(folder))
    return bare(notebook)


def environment(folder: Path) -> dict[str, str]:
    """Return what the kernel finds: this package, one thread, and ``folder`` for all that is temporary."""
    package = Path(find_spec("potentia").origin).parents[1]
    own = {
        "PYTHONPATH": str(package),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "MPLBACKEND": "Agg",
        "TMPDIR": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    return os.environ | own


def bare(notebook: NotebookNode) -> NotebookNode:
    """Remove what a run or an editor adds to a notebook beside its cells and their outputs."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id, cell.metadata = f"cell-{number:02d}", nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    return notebook


def main() -> None:
    """Execute, and write back what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("beginnings", nargs="*", default=[""], help="of the names of notebooks, for example 03")
    chosen = notebooks(tuple(parser.parse_args().beginnings))
    if not chosen:
        sys.exit(f"no notebook in {HERE} has a name that begins so")
    for path in chosen:
        print(path.name, flush=True)
        with TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        partial = path.with_name(path.name + ".tmp")
        nbformat.write(notebook, partial)
        partial.replace(path)


if __name__ == "__main__":
    main()
