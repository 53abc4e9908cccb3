"""A VOLUME of the image is a writable folder on the host's disk, whatever the root file system is."""

import os

from kit import fill, honest

where = os.environ["WHERE"]
fill("volume", f"{where}/big")
with open("/proc/self/mountinfo") as mounts:
    for line in mounts:
        if os.path.normpath(where) == line.split()[4]:
            print("PROBE mount:", line.split(" - ")[1].split()[0])
if where.strip("/.") == "output":
    os.unlink("/output/big")
else:
    honest()
