"""The repulsion of atoms that move: from the neighbours that the descriptor has, without a search of its own.

A pair that is farther apart than outer + skin when the list is made cannot come within outer while the list holds, so
only the few others are followed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.repulsion import ZBL, Repulsion
from potentia.potentials.skin import Frame, SkinList

__all__ = ["MovingRepulsion"]


class MovingRepulsion:
    """The repulsion in the structures that a simulation goes through.

    Args:
        repulsion: Its ``outer`` must not be above the cutoff of the lists.
    """

    def __init__(self, repulsion: ZBL) -> None:
        self.repulsion = repulsion
        self._known: SkinList | None = None
        self._few = np.zeros(0, dtype=np.int64)
        self._centre = np.zeros(0, dtype=np.int64)

    def follow(self, known: SkinList, frame: Frame, charges: NDArray[np.float64]) -> Repulsion:
        """Return the repulsion at ``frame``.

        Args:
            known: The neighbours, good for ``frame``.
            frame: Where the atoms are.
            charges: Charge of each atom's nucleus.  [atoms]
        """
        if known is not self._known:
            self._adopt(known)
        other = known.other[self._few]
        return self.repulsion.on(charges, self._centre, other, _vectors(known, frame, self._few, self._centre))

    def _adopt(self, known: SkinList) -> None:
        """Choose the pairs of a new list that may come close while it lasts."""
        centre = np.repeat(np.arange(len(known.start) - 1), np.diff(known.start))
        vectors = _vectors(known, known.frame, np.arange(len(known.other)), centre)
        reach = self.repulsion.outer + known.skin
        self._few = np.flatnonzero((vectors**2).sum(axis=1) <= reach**2 * (1 + 1e-9))  # rounding must not lose one
        self._centre = centre[self._few]
        self._known = known


def _vectors(known: SkinList, frame: Frame, pairs: NDArray[np.int64], centre: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the vectors of some pairs of a list, from their centres to the images of the neighbours, Å.  [pairs, 3]"""
    if not len(pairs):
        return np.zeros((0, 3))
    points, offsets = known.points(frame), known.offsets(frame)
    found: NDArray[np.float64] = points[known.other[pairs]] + offsets[known.image[pairs]] - points[centre]
    return found
