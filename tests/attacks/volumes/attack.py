"""So many unclean VOLUMEs that the engine may sort their mounts otherwise than one would think."""

import os

from kit import MIB, fill, honest

for number in range(16):
    fill("volume", f"/v{number}/big", 4 * MIB)
with open("/proc/self/mountinfo") as mounts:
    for kind in sorted({line.split(" - ")[1].split()[0] for line in mounts if line.split()[4].startswith("/v")}):
        print("PROBE mount:", kind)
print("PROBE baked:", any(os.path.exists(f"/v{number}/baked") for number in range(16)))
honest()
