"""Settings of a tokenizer of behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from potentia.checks import choice, integer, number
from potentia.errors import ConfigError

__all__ = ["TokenizerConfig"]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """What a tokenizer is made of.

    Raises:
        ConfigError: a value cannot be; the message names the field.
    """

    categories: Literal["family", "cluster"] = "family"
    """What features share a latent: those of a ``"family"``, or those that go together, found by average linkage on
    1 − |Spearman's correlation|."""
    least_clusters: int = 3
    """Of ``"cluster"``: as few of them, and up to ``most_clusters``; the silhouette decides."""
    most_clusters: int = 15
    """Of ``"cluster"``."""
    least_members: int = 3
    """Of ``"cluster"``: smaller ones are merged into the nearest."""
    quantizer: Literal["vq", "fsq"] = "vq"
    """``"vq"``: learned codes, each level for what the ones before have left; ``"fsq"``: each number of a latent is
    rounded to a few values (Mentzer et al. 2023), which cannot collapse, and has no levels."""
    latent_dim: int = 8
    """Numbers of a latent; of ``"fsq"`` it is the length of ``fsq_values``."""
    levels: int = 3
    """Levels of ``"vq"``."""
    codes: int = 32
    """Codes of each level of ``"vq"``."""
    decay: float = 0.99
    """How much of the running means that are the codes of ``"vq"`` a batch leaves as it is."""
    revive_every: int = 50
    """Batches after which codes of ``"vq"`` that are hardly used move to latents of the batch; 0 for never."""
    dead_below: float = 0.005
    """Hardly used is less than this part of the mean of a level."""
    commitment: float = 0.1
    """Weight of the distance between latents and their codes, which moves the encoder; of ``"vq"``. Latents begin with
    the size of features: more than this pulls them together, and less of the features is rebuilt."""
    orthogonality: float = 0.0
    """Weight of the mean square correlation between latents of different categories."""
    topography: float = 0.0
    """Weight of 1 − correlation between distances of features and distances of quantised latents in a batch."""
    fsq_values: tuple[int, ...] = (8, 5, 5, 5)
    """Values of each number of a latent of ``"fsq"``."""
    hidden: int = 64
    """Nodes of the encoder of each category."""
    decoder_hidden: int = 128
    """Nodes of the decoder."""

    def __post_init__(self) -> None:
        choice("categories", self.categories, ("family", "cluster"))
        choice("quantizer", self.quantizer, ("vq", "fsq"))
        for name in ("latent_dim", "levels", "hidden", "decoder_hidden", "least_members"):
            integer(name, self.__dict__[name], low=1)
        integer("codes", self.codes, low=2)
        integer("least_clusters", self.least_clusters, low=2)
        integer("most_clusters", self.most_clusters, low=self.least_clusters)
        integer("revive_every", self.revive_every, low=0)
        for name in ("commitment", "orthogonality", "topography"):
            number(name, self.__dict__[name], low=0)
        number("dead_below", self.dead_below, low=0, high=1)
        if not 0 < number("decay", self.decay) < 1:
            raise ConfigError(f"decay must be between 0 and 1, got {self.decay!r}")
        if not self.fsq_values:
            raise ConfigError("fsq_values must name the values of one number at least, for example (8, 5, 5, 5)")
        for value in self.fsq_values:
            integer("each of fsq_values", value, low=2)
