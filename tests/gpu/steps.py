"""SAM 3's step in full size, a few combinations of `tests.bench.sam3_gpu`.

python -m tests.gpu.steps [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from tests.bench.sam3_gpu import full_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = full_size(torch.device("cuda", 0), sides=(1008,), objects=(1, 10), cameras=(1, 4), frames=20)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
