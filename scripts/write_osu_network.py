"""Writes src/potentia/trajectories/systems/osu2008.reactions from a table of the network.

The table is one of tab-separated columns, with a head: idx, reactants, products, A, alpha, gamma_K, type, where
species are joined by " + ". It holds the reactions of the gas-phase network of the Ohio State University (version of
2008) among the 29 species of Grassi et al., A&A 668, A139 (2022), arXiv:2104.09516.

    python scripts/write_osu_network.py TABLE
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from potentia.storage import write_text
from potentia.trajectories.systems.osu import FILE
from potentia.trajectories.systems.reactions import read_reactions

HEAD = """\
# The gas-phase network of the Ohio State University (OSU, 2008) among the 29 species of Grassi et al., A&A 668, A139
# (2022), arXiv:2104.09516. The format is explained in reactions.py: MA in cm3/s (1/s with one reactant), gamma in K,
# CR per ionisation rate of H2.
"""
TARGET = Path(__file__).parents[1] / "src/potentia/trajectories/systems" / FILE


def line_of(row: dict[str, str]) -> str:
    """Return a row of the table as a line of the file."""
    reaction = f"{row['reactants']} -> {row['products']}"
    coefficients = f"{float(row['A']):<9.4g} {float(row['alpha']):<6g} {float(row['gamma_K']):<8g}"
    return f"{reaction:<32} {coefficients} {row['type']}\n"


def main() -> None:
    """Read the table, check every reaction by reading the result, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    table = parser.parse_args().table
    with table.open(encoding="utf-8") as file:
        text = HEAD + "".join(line_of(row) for row in csv.DictReader(file, delimiter="\t"))
    read_reactions(text, str(table))
    write_text(TARGET, text)


if __name__ == "__main__":
    main()
