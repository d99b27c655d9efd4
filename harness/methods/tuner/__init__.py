"""What all methods share: where they may put something, and how that is attached, saved, loaded and taken out."""

from harness.methods.tuner.config import MethodConfig, at, register
from harness.methods.tuner.places import PLACES, Place, Site

__all__ = ["PLACES", "MethodConfig", "Place", "Site", "at", "register"]
