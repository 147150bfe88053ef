"""Give a container that is about to be created the host's directories, if it is one of the host image.

A program, called by the ``runc`` that ``images.write_runc`` writes: ``host_view.py IMAGE MOUNTS RUNC-ARGUMENTS``.
containerd would give every container of a runtime the same mounts, and an image that was really built is hidden
by the host's ``/usr``.
"""

import json
import sys
from pathlib import Path

IMAGE_ANNOTATION = "io.kubernetes.cri.image-name"
"""Where containerd says which image a container is made of. It is absent from a pod's pause container."""


def main(image: str, mounts: str, *runc: str) -> None:
    config = Path(runc[runc.index("--bundle") + 1]) / "config.json"
    spec = json.loads(config.read_text())
    if spec["annotations"].get(IMAGE_ANNOTATION) == image:
        # First, so that a pod's volumes may lie over them.
        spec["mounts"] = json.loads(Path(mounts).read_text()) + spec["mounts"]
        config.write_text(json.dumps(spec))


if __name__ == "__main__":
    main(*sys.argv[1:])
