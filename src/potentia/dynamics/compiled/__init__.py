"""Roll-outs in machine code: equations are traced, differentiated, and compiled for SIMD vectors of windows."""

from potentia.dynamics.compiled.function import Plan, plan_of, roll_out, roll_out_with_tangents
from potentia.dynamics.compiled.model import why_not_compiled

__all__ = ["Plan", "plan_of", "roll_out", "roll_out_with_tangents", "why_not_compiled"]
