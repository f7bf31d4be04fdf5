"""What a potential is trained on, energy, forces and stress: the columns of their errors, and how these are shown."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENERGY", "FORCE", "STRESS", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """One of the labels, in the columns of the history and in figures."""

    name: str
    """As `ParityData` has it."""
    infix: str
    """``RMSE<infix>_train`` is a column."""
    component: str
    """What one error belongs to."""
    unit: str
    """Unit of the columns."""
    shown_unit: str
    """Unit of errors in figures and tables."""
    factor: float
    """From one to the other."""

    @property
    def measures(self) -> dict[str, dict[str, str]]:
        """Its columns by measure and part."""
        return {
            measure: {split: f"{measure}{self.infix}_{split}" for split in ("train", "test")}
            for measure in ("RMSE", "MAE")
        }

    @property
    def columns(self) -> list[str]:
        """Its columns."""
        return [column for splits in self.measures.values() for column in splits.values()]


ENERGY = Quantity("energy", "", "energy", "eV/atom", "meV/atom", 1000.0)
FORCE = Quantity("force", "_force", "force component", "eV/Å", "eV/Å", 1.0)
STRESS = Quantity("stress", "_stress", "stress component", "eV/Å³", "meV/Å³", 1000.0)
