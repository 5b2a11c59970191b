"""What the light engine does with less of, while the machine cannot keep up."""

from __future__ import annotations

from dataclasses import replace

from stream.engines.light.tuning import Tuning
from stream.relief import Effort

EFFORTS = (Effort(looks=0.5), Effort(looks=0.5, detail=0.8))
"""Half the detector's looks and slower refreshes leave the processor to the picture; 0.8 of the grids' sides is two
thirds of the flow's work, and keeps the mask grid at twice the flow's for the usual shapes."""

REFRESH_GAP_S = 0.15
"""Between two refreshes of one object where looks are saved."""


def tuned(tuning: Tuning, effort: Effort) -> Tuning:
    """Thresholds for `effort`: what waits for looks of the detector waits for as many of them as before."""
    if effort.looks >= 1:
        return tuning
    longer = 1 / effort.looks
    return replace(
        tuning,
        detect_gap_s=tuning.detect_gap_s * longer,
        expect_s=tuning.expect_s * longer,
        tentative_s=tuning.tentative_s * longer,
        unseen_s=tuning.unseen_s * longer,
        refresh_gap_s=max(tuning.refresh_gap_s, REFRESH_GAP_S),
    )
